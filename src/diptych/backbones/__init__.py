"""Pretrained features: where the weights of pretrained backbones are. Nothing is trained here.

The data layer, both panels and the evaluations above it use what lies here, so this layer knows none of them.
"""
