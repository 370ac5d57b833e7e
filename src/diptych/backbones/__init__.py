"""Pretrained features: where the weights of pretrained backbones are."""
