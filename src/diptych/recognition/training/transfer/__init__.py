"""Training from a pretrained backbone: a head on its features, then its last stage, then all of it."""
