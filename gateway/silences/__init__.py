"""Silences: what they match, when they are active, and the few that may concern an execution."""
