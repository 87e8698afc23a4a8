"""Long computations outside the web server's event loop, in processes of their own."""
