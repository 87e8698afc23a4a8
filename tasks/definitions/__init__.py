"""Actions and playbooks as stored definitions: written, revised, imported, exported."""
