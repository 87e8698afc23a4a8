"""From a playbook definition to a CACAO document, new or updated in place."""
