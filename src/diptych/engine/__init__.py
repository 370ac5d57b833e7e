"""The training engine that both panels share."""
