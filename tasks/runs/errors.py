"""Error records: steps that cannot be entered, blocks that fail."""

from collections.abc import Mapping
from typing import Any

from config.errors import CallerError
from config.types import Json
from expressions.templates import TemplateError
from playbooks.plan import Node
from tasks.attempts.failure import failure


class StepError(Exception):
    """A step cannot be entered; ``code`` is a stable word."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.error = failure(code, message)


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
    if isinstance(fault, CallerError):
        return failure(fault.code, str(fault))
    code = "bad_template" if isinstance(fault, TemplateError) else "bad_expression"
    return failure(code, str(fault))
