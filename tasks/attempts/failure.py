"""The record of an error, in its stored form."""

from typing import Any


def failure(code: str, message: str, *, outcome_unknown: bool = False, effect_possible: bool = False) -> dict[str, Any]:
    """An error's record.

    ``effect_possible`` says that the effect may have happened all the same, ``outcome_unknown`` that the action is not
    idempotent either: an operator has to look.
    """
    possible = {"effect_possible": True} if effect_possible else {}
    return {"code": code, "message": message, "outcome_unknown": outcome_unknown, **possible}
