"""The panel that generates pictures."""
