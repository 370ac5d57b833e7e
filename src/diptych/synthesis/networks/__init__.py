"""The networks of the synthesizers: one family per file."""
