"""The record of why an execution failed, as it is stored and shown."""

from typing import Any


def failure(code: str, message: str, *, outcome_unknown: bool = False) -> dict[str, Any]:
    """An error's record; ``outcome_unknown`` says that the effect may have happened all the same."""
    return {"code": code, "message": message, "outcome_unknown": outcome_unknown}
