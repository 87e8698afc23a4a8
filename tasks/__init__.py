"""Everything the queue can run, and the functions that put it there."""
