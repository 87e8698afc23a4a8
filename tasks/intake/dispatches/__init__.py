"""Dispatches: asked for, decided by the rules, accepted as executions, and the outcome of each."""
