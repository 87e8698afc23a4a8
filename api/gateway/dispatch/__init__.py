"""Dispatches: the routes, who waits for an outcome, and the two forms in which it is written."""
