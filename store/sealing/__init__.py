"""Secrets at rest: sealed under sub-keys of the operator's root keys, each for one place."""
