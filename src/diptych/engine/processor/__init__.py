"""What makes steps faster on processors."""
