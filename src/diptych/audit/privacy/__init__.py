"""Privacy: whether a model gives away which pictures it was trained on, or the pictures themselves."""
