"""From a person's files to uint8 tensors."""
