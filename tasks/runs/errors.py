"""Error records: steps that cannot be entered, blocks that fail."""

from collections.abc import Mapping
from typing import Any

from config.errors import AlreadyRunning, CallerError
from config.types import Json
from expressions.templates import TemplateError
from expressions.values import type_name
from playbooks.plan import Node
from tasks.attempts.failure import failure

#: characters of a text in a message
_SHOWN_CHARACTERS = 64


class StepError(Exception):
    """A step cannot be entered; ``code`` is a stable word."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.error = failure(code, message)


def no_list(items: Any) -> StepError:
    """The error of a for_each whose items, masked, are no list."""
    if isinstance(items, str):
        what = f"the text '{items[:_SHOWN_CHARACTERS]}'" if items else "an empty text"
    else:
        plain = isinstance(items, int | float) and not isinstance(items, bool)
        what = f"the number {items}" if plain else type_name(items)
    return StepError("bad_items", f"items is {what}; for_each needs a list")


def because(node: Node, error: Mapping[str, Any] | None, how: str = "failed") -> Json:
    """The error of a block that fails because of a step."""
    given = dict(error or {})
    message = f"The step {node.id!r} {how}: {given.get('message') or given.get('code') or 'no reason given'}"
    return {"code": "step_failed", "message": message, "step_id": node.id, "cause": given.get("code")}


def of_run(code: str, message: str) -> Json:
    """The error of a run itself: no outcome is in doubt."""
    return {"code": code, "message": message}


def error_of(fault: Exception) -> Json:
    """The error of a step that could not be entered."""
    if isinstance(fault, StepError):
        return fault.error
    if isinstance(fault, AlreadyRunning):
        return {**failure(fault.code, str(fault)), **({"details": dict(fault.members)} if fault.members else {})}
    if isinstance(fault, CallerError):
        return failure(fault.code, str(fault))
    code = "bad_template" if isinstance(fault, TemplateError) else "bad_expression"
    return failure(code, str(fault))
