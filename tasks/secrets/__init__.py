"""Secrets in definitions and results: extracted, sealed, restored, masked."""
