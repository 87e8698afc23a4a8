"""Runs of playbooks: starting them, watching their steps, deciding, comparing."""
