"""The API's own checks of a definition that a client sends.

Its meaning is checked in ``tasks``.
"""

from typing import Any

from api.actions import schemas
from api.versioned import id_problems
from config.errors import Problem
from config.pointers import step
from playbooks.definitions.parameters import MAX_NAMED
from store.definitions import actions
from tasks.definitions.versioned import faulty

_SHAPE = schemas.ActionDefinition()
#: ignored members, so that a body that was read may be sent back
_READ_ONLY = _SHAPE.dump_fields.keys() - _SHAPE.load_fields.keys()


def taken(given: dict[str, Any], action_id: str | None = None) -> dict[str, Any]:
    """The members of the definition.

    ``action_id`` is the action that they are for, if it exists.

    Raises:
        InvalidRequest: unknown members, or an id that cannot be had.
    """
    problems = unknown(given) + id_problems(actions.kind, given, action_id)
    if problems:
        raise faulty(actions.kind.noun, problems)
    return written(given)


def written(given: dict[str, Any]) -> dict[str, Any]:
    """The members of a definition that its author writes."""
    passed_over = (
        _READ_ONLY if given.get("version") is not None else {*_READ_ONLY, "version"}
    )  # null: the version goes up by itself
    return {name: value for name, value in given.items() if name not in passed_over}


def unknown(given: dict[str, Any]) -> list[Problem]:
    """The members without meaning; of very many, some and their number."""
    names = [name for name in given if name not in _SHAPE.fields]
    problems = [Problem(step(name), _SHAPE.no_member(name)) for name in names[:MAX_NAMED]]
    if len(names) > MAX_NAMED:
        problems.append(Problem("", f"and {len(names) - MAX_NAMED} more that are unknown"))
    return problems
