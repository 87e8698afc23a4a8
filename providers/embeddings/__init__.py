"""What turns texts into vectors: a model on this machine, or a server."""
