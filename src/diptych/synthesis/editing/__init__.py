"""Editing pictures with a synthesizer: one vocabulary for all three."""
