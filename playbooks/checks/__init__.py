"""Every fault of a playbook definition, found before a run."""
