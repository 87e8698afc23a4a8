"""Versioned definitions: actions, playbooks, and the documents of imported playbooks."""
