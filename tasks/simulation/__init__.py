"""Recorded executions decided again by other rules: read aside, bite by bite; nothing is written anywhere."""
