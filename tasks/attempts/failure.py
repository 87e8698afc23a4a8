"""The record of an error, in its stored form."""

from typing import Any


def failure(code: str, message: str, *, outcome_unknown: bool = False) -> dict[str, Any]:
    """An error's record; ``outcome_unknown`` says that the effect may still have happened."""
    return {"code": code, "message": message, "outcome_unknown": outcome_unknown}
