"""Every table, gathered: importing this fills ``store.engine.db.metadata``."""

from store import access, audit, metrics, trail, worker_processes
from store.blocks import anchors, floor, seals, walks
from store.bundles import archives, secrets, versions
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
    events,
    groups,
    payloads,
    providers,
    silences,
    throttles,
)
from store.recurring import calendars, firings, schedules

__all__ = [
    "access",
    "actions",
    "anchors",
    "announcements",
    "approvals",
    "archives",
    "audit",
    "breakers",
    "calendars",
    "configurations",
    "dedup",
    "documents",
    "events",
    "firings",
    "floor",
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
    "schedules",
    "seals",
    "secrets",
    "sessions",
    "silences",
    "throttles",
    "trail",
    "transitions",
    "users",
    "versions",
    "walks",
    "worker_processes",
]
