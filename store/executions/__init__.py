"""Executions: actions, runs and their steps; their transitions, leases and lists."""
