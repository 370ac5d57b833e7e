"""Training a synthesizer: configuration, augmentation, optimisers, monitoring and model files."""
