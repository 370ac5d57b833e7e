"""The HTTP server: a web process that never imports torch, and a worker process that holds the models."""
