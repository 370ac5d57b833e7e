"""The panel that makes pictures."""
