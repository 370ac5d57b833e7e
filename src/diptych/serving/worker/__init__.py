"""The worker process, which holds the models, and the web process's end of the connection to it."""
