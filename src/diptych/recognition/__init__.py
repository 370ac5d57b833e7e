"""The panel that tells what is in a picture."""
