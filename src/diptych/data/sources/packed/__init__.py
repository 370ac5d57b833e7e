"""Packed sets: shards that ``diptych pack`` wrote, opened by their index and read in blocks."""
