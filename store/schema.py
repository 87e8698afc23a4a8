"""Every table, gathered: importing this fills ``store.engine.db.metadata``."""

from store import access, audit, metrics, trail, worker_processes
from store.definitions import actions, documents, playbooks, references
from store.engine.db import metadata
from store.executions import announcements, idempotency, transitions
from store.executions.lists import indexes

__all__ = [
    "access",
    "actions",
    "announcements",
    "audit",
    "documents",
    "idempotency",
    "indexes",
    "metadata",
    "metrics",
    "playbooks",
    "references",
    "trail",
    "transitions",
    "worker_processes",
]
