"""Orders of pictures in training for sets that are read in blocks."""
