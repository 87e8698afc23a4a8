"""What is approved, and the links by which it is decided."""
