"""Secrets in definitions and results: sealed, put back, masked."""
