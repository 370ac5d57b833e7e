"""Models on a hub: sent there and fetched from there."""
