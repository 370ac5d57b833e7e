"""How good a recognizer is on held-out pictures, and where it fails."""
