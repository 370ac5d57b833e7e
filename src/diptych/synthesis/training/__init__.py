"""Training a synthesizer: configuration, augmentation, optimisers and monitoring."""
