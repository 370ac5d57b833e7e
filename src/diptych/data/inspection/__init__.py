"""The look at a data set before training: issues, duplicates, outliers, the manifest."""
