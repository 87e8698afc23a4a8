"""Trials of actions on the author's machine: files, calls that are made, and calls that were recorded."""
