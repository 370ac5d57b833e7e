"""Synthesis networks, one family a file."""
