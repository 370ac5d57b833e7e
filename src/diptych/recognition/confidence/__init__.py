"""Calibrated confidence, conformal label sets and out-of-distribution detection."""
