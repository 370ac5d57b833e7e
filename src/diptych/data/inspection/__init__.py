"""The inspection of a data set before training: issues, duplicates, outliers, the manifest."""
