"""Several processes take the step that one would: shared draws, shared statistics, averaged gradients."""
