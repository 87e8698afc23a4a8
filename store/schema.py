"""Every table, gathered: importing this fills ``store.engine.db.metadata``."""

from store import access, audit, worker_processes
from store.definitions import actions, documents, playbooks
from store.engine.db import metadata
from store.executions import idempotency, transitions

__all__ = [
    "access",
    "actions",
    "audit",
    "documents",
    "idempotency",
    "metadata",
    "playbooks",
    "transitions",
    "worker_processes",
]
