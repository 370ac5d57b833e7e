"""Bias: whether a model is worse on some groups of pictures, and whether it has learned a shortcut."""
