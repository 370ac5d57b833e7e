"""Pictures changed by a synthesizer: one vocabulary for all three."""
