"""Every table, gathered: importing this fills ``store.engine.db.metadata``."""

from store import access, audit, metrics, trail, worker_processes
from store.callers import sessions, users
from store.definitions import actions, documents, playbooks, references
from store.engine.db import metadata
from store.executions import announcements, idempotency, indexes, transitions
from store.executions.lists import indexes as indexes_of_lists
from store.gateway import (
    approvals,
    breakers,
    configurations,
    dedup,
    groups,
    payloads,
    providers,
    silences,
    throttles,
)

__all__ = [
    "access",
    "actions",
    "announcements",
    "approvals",
    "audit",
    "breakers",
    "configurations",
    "dedup",
    "documents",
    "groups",
    "idempotency",
    "indexes",
    "indexes_of_lists",
    "metadata",
    "metrics",
    "payloads",
    "playbooks",
    "providers",
    "references",
    "sessions",
    "silences",
    "throttles",
    "trail",
    "transitions",
    "users",
    "worker_processes",
]
