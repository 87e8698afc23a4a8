"""The digest of what is approved: another revision, receiver, payload or target has another one."""

import hashlib
import json
from typing import Any

_canonical = json.JSONEncoder(ensure_ascii=True, allow_nan=False, sort_keys=True, separators=(",", ":")).encode


def of(revision_id: str, provider: str, action_type: str, payload: Any, target: str | None, *more: Any) -> str:
    """The SHA-256 of what an execution is to do.

    ``payload`` is its stored form: secret values are masked there, and are sealed to the execution. ``more`` is
    what it may do besides, if anything.
    """
    return hashlib.sha256(_canonical([revision_id, provider, action_type, payload, target, *more]).encode()).hexdigest()
