"""Fitting a recognizer that bounds what it can tell about one training picture."""
