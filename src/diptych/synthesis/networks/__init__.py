"""The synthesizers' networks: one family, one file."""
