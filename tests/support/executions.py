"""Executions as a request accepts them, for tests of what becomes of their rows."""

from typing import Any

from store.ids import new_id


def new_execution(**more: Any) -> dict[str, Any]:
    """The values of a triggered action for ``transitions.accept``; ``more`` replaces and adds."""
    return {
        "id": new_id("exec"),
        "workspace_id": "w",
        "action_id": "act",
        "revision_id": "rev",
        "queue": "steps",
        "mode": "live",
        "idempotent": True,
        "timeout_ms": 60_000,
        "input": "{}",
        "created_by": "key",
        **more,
    }
