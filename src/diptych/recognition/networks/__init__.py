"""Recognition networks, one family a file."""
