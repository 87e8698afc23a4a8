"""Silences: what is kept quiet, for a time or in windows that come back."""
