"""Groups: what is gathered, with its members, and flushing it."""
