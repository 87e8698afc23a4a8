"""Dispatches: asked for, decided by the rules, accepted as executions, and told when they have ended."""
