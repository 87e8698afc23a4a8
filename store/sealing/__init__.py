"""Secrets at rest: sealing, sub-keys, renewal under a new key, and masking in what is stored."""
