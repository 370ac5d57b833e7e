"""Packing: any set of pictures written as shards, in parallel and resumable."""
