"""From a CACAO document to a playbook definition."""
