"""The importer: from a CACAO document to a playbook definition."""
