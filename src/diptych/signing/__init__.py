"""Signatures on model folders, and ``verify``: where a picture or a model comes from, and whether it was changed."""
