"""Conditions in a subset of CEL: read once, and decided with the values of a run."""
