"""Long computations in helper processes, off the web server's event loop."""
