"""Conditions in a subset of CEL: parsed once, evaluated per run."""
