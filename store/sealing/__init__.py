"""Secrets at rest, each sealed under a sub-key for its one place."""
