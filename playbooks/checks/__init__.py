"""Every fault of a playbook definition, found before anything runs."""
