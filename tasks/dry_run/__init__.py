"""Dry runs: describe what each step of a playbook would do."""
