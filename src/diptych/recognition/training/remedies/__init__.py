"""Remedies: training so that the recognizer is as good on the worst group of pictures as it can be."""
