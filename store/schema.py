"""Every table, gathered: importing this fills ``store.engine.db.metadata``."""

from store import access, audit, metrics, trail, worker_processes
from store.callers import sessions, users
from store.definitions import actions, documents, playbooks, references
from store.engine.db import metadata
from store.executions import announcements, idempotency, transitions
from store.executions.lists import indexes
from store.gateway import configurations, providers

__all__ = [
    "access",
    "actions",
    "announcements",
    "audit",
    "configurations",
    "documents",
    "idempotency",
    "indexes",
    "metadata",
    "metrics",
    "playbooks",
    "providers",
    "references",
    "sessions",
    "trail",
    "transitions",
    "users",
    "worker_processes",
]
