"""How outcomes of dispatches are written: as the document has them, or tagged for existing clients."""

from typing import Any

from flask import Response

from api.http import errors
from api.http.blueprint import answer
from api.http.current_request import present
from config.errors import CallerError
from gateway import outcomes
from gateway.outcomes import Outcome, Throttled
from tasks.intake.dispatches.batch import Taken


def single(result: Taken, outcome: Outcome | None) -> Response:
    """The answer to one dispatch.

    It is 202, with an address, where the dispatch has not ended yet.
    """
    headers = {}
    if result.replayed:
        headers["Idempotency-Replayed"] = "true"
    if isinstance(outcome, Throttled):
        headers["Retry-After"] = str(outcome.retry_after_seconds)
    if outcome is None:
        prefix = "/compat/v1" if is_tagged() else "/v1"
        headers["Location"] = f"{prefix}/dispatch/{result.subject}"
    return answer(members(result, outcome), 202 if outcome is None else 200, headers)


def members(result: Taken, outcome: Outcome | None) -> Any:
    """What became of a dispatch."""
    return written(outcome, result.action_id, result.subject)


def written(outcome: Outcome | None, action_id: str, execution_id: str) -> Any:
    """An outcome as the request's prefix writes it.

    None stands for what has not ended yet.
    """
    if is_tagged():
        return {"Accepted": {"execution_id": execution_id}} if outcome is None else outcome.tagged()
    if outcome is None:
        return {"outcome": "accepted", "action_id": action_id, "execution_id": execution_id}
    return outcomes.plain(outcome, action_id)


def is_tagged() -> bool:
    """Whether the request was made as existing clients make it."""
    return present().path.startswith("/compat/")


def item(outcome: Any) -> Any:
    """The item of a dispatch in the answer to a batch."""
    return outcome if is_tagged() else {"status": "success", "outcome": outcome}


def error_item(refusal: CallerError) -> Any:
    """The item of a dispatch that was not accepted."""
    more = f" {errors.summary(refusal.problems)}" if refusal.problems else ""
    error: dict[str, Any] = {"code": refusal.code, "message": f"{refusal}{more}", "retryable": refusal.retryable}
    if is_tagged():
        return {"error": error}
    return {"status": "error", "error": error}
