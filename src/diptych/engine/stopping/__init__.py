"""A run that is stopped: its signals, and the model that it leaves."""
