"""From a person's files to uint8 tensors: sources, decoding, labels, duplicates, splits, inspection."""
