"""The bodies that show playbooks."""

from typing import Any

from api.http import times
from store.definitions import playbooks
from store.engine import db
from store.executions import transitions
from tasks.definitions import playbooks as library


def item(row: db.Row) -> dict[str, Any]:
    """A playbook in a list, from ``store.definitions.playbooks.search``."""
    return {
        "id": row.id,
        "name": row.name,
        "version": row.version,
        "description": row.description,
        "trigger": row.trigger,
        "step_count": row.step_count,
        "tags": transitions.load(row.tags),
        "enabled": bool(row.enabled),
        "created_at": times.stamp(row.created_at),
        "updated_at": times.stamp(row.updated_at),
    }


def playbook(this: playbooks.Playbook) -> dict[str, Any]:
    """A playbook as it is now."""
    with db.read() as connection:
        problems = library.problems_of(connection, this)
    return {
        "id": this.id,
        **this.revision.definition,
        "enabled": this.enabled,
        "step_count": this.step_count,
        "next_run_at": times.stamp(this.fire_at),
        "last_error": transitions.load(this.last_error),
        "problems": [{"pointer": one.pointer, "detail": one.detail} for one in problems],
        "created_at": times.stamp(this.created_at),
        "updated_at": times.stamp(this.updated_at),
    }


def version(playbook_id: str, row: db.Row) -> dict[str, Any]:
    """A playbook as it was at one version."""
    return {
        "id": playbook_id,
        **transitions.load(row.definition),
    }
