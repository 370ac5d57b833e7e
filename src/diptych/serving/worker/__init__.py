"""The worker processes, which compute, and the web process's end of the connections to them."""
