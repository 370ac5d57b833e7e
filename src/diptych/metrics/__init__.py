"""Scores as pure functions: tensors in, floats out."""
