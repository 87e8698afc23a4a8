"""Every table, gathered: importing this fills ``store.db.metadata``."""

from store import access, actions, audit, documents, executions, idempotency, playbooks, processes
from store.db import metadata

__all__ = ["access", "actions", "audit", "documents", "executions", "idempotency", "metadata", "playbooks", "processes"]
