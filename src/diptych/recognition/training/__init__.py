"""From labelled pictures to a trained, calibrated recognizer."""
