"""What the server keeps on disk besides jobs: models, and data sets of pictures."""
