"""What makes several processes take the step that one would take: shared draws, shared statistics, averaged gradients."""
