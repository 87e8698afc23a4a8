"""Actions and playbooks as things to keep: written, revised, imported, exported."""
