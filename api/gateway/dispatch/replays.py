"""``/v1/audit/{action_id}/replay`` and ``/v1/audit/replay``: what records tell of, sent again.

A bulk replay goes through its records bite by bite: each bite is read, accepted, and followed by a pause twice as long
as it took, so that other requests get their turn; what exceeds the allowance of its caller waits on the queue ``bulk``
(``tasks.fairness.fair_queue``).
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from flask import Response, g

from api.gateway.dispatch import answers, replay_schemas, routes
from api.gateway.dispatch import schemas as shapes
from api.gateway.dispatch.outcome_schemas import ACCEPTED, OUTCOME, OUTCOME_AT
from api.http import errors, pages
from api.http.auth import caller, requires
from api.http.blueprint import Blueprint, answer
from api.http.documented import error_answers
from api.http.load import HERE, LISTS
from config.errors import CallerError, NotFound
from gateway import traces
from gateway.outcomes import DryRun
from store.callers.reach import Covering
from store.engine import rest
from store.engine.db import Connection, Row
from store.paging import Found, Part
from store.records import listing as records
from tasks import tenants
from tasks.intake.dispatches import replay_turns, replays
from tasks.intake.dispatches.replays import Made, Sender
from tasks.intake.dispatches.rows import Asked

blueprint = Blueprint("replays", __name__, tag="audit")

_ID = {
    "in": "path",
    "name": "record_id",
    "description": "The id that a dispatch gave itself, else that of its execution or its record.",
    "example": "exec-9912",
}
#: of a record that is a replay itself, in a bulk replay
_IS_REPLAY = "It is a replay itself: send include_replays, or replay it by its id."


@blueprint.post("/audit/<slashed:record_id>/replay", parameters=[_ID, shapes.PREFER, *shapes.TRACE])
@requires("dispatch", "read:audit")
@blueprint.answers(
    200,
    OUTCOME,
    example=shapes.EXECUTED,
    words="What became of it.",
    fails=(
        404,
        409,
        422,
        *error_answers.OUTWARD,
        "chain_not_found",
        "no_state_machine",
        "id_in_use",
        "changed",
        "replay_under_way",
        "not_replayable",
        "payload_gone",
        "payload_masked",
        "secret_needed",
        "invalid_parameters",
        "overloaded",
    ),
)
@blueprint.also(202, OUTCOME, example=ACCEPTED, words="It is accepted and has not ended yet.", headers=OUTCOME_AT)
def replay_record(record_id: str) -> Response:
    """Replay a record.

    The newest of this action id goes through the rules of today again, a dispatch as it was sent, a trigger at the
    present revision of its action, which needs execute:actions. A record is replayed once, by whatever caller:
    afterwards the answer is what the first replay has made. 422 where it cannot be: what it carried is gone or masked,
    or it is neither dispatch nor trigger.
    """
    covered = tenants.of(caller())
    row = pages.read(_newest, covered, record_id)
    if row is None:
        raise NotFound(f"There is no record of {record_id!r}.")
    again = replays.prepared(row, _sender())
    if isinstance(again, Asked):
        return routes.answered(again)
    with LISTS.waiting():
        made = replays.triggered(again)
    headers = {"Idempotency-Replayed": "true"} if made.repeated else {}
    if made.outcome is None:
        headers["Location"] = f"/api/actions/executions/{made.subject}"
    return answer(_written(made), 202 if made.outcome is None else 200, headers)


@blueprint.post("/audit/replay")
@requires("dispatch", "read:audit")
@blueprint.arguments(replay_schemas.Wanted(), example=replay_schemas.WANTED)
@blueprint.answers(
    200,
    replay_schemas.Replays(),
    example=replay_schemas.REPLAYS,
    words="What became of each.",
    takes_body=True,
    fails=(409, "replay_under_way", "overloaded"),
)
def replay_records(given: dict[str, Any]) -> Response:
    """Replay records.

    Those that match all filters, the oldest first, at most limit; next_cursor goes on. The answer waits for no
    execution. A fault of one record is its own. For one tenant one is made at a time (409). Where the answer is lost,
    send the same again: what was replayed is not replayed twice.
    """
    if "tenant" in given:
        tenants.require_named(caller(), given["tenant"])
    filters = {name: given[name] for name in replay_schemas.FILTERS & given.keys()}
    name = pages.named("replay", filters)
    after = pages.position(given["cursor"], name, pointer="/cursor") if "cursor" in given else None
    part = Part(given["limit"], after=after, counted=False)
    found = pages.read(_oldest, tenants.of(caller()), {**filters, **pages.period(given)}, part)
    ids = [key.id for key in found.rows]
    if given["preview"]:
        shown = _in_bites(ids, given)
    else:
        with replay_turns.turn(given.get("tenant") or caller().workspace_id) as mine:
            shown = _in_bites(ids, given, mine)
    return answer({**shown, "next_cursor": pages.next_cursor(found, name)})


def _in_bites(ids: Sequence[int], given: Mapping[str, Any], turn: replay_turns.Turn | None = None) -> dict[str, Any]:
    """Replay these records; what the answer says of each."""
    results, skipped = list[dict[str, Any]](), list[dict[str, Any]]()
    for first in range(0, len(ids), replays.BITE):
        began = time.monotonic()
        if turn is not None and first:
            turn.keep()
        rows = pages.read(records.to_replay, ids[first : first + replays.BITE])
        wanted = rows if given["include_replays"] else [row for row in rows if not replays.is_replay(row)]
        done = dict(zip([row.id for row in wanted], _bite(wanted, preview=given["preview"]), strict=True))
        for row in rows:
            made = done.get(row.id)
            if isinstance(made, Made):
                results.append(_result(row, made))
            else:
                skipped.append(_skipped(row, made))
        if first + replays.BITE < len(ids):
            with HERE.aside():
                rest.after_bite(began)
    repeated = sum(one["repeated"] for one in results)
    counted = {"preview": given["preview"], "replayed": len(results) - repeated, "repeated": repeated}
    return {**counted, "results": results, "skipped": skipped}


def _bite(rows: Sequence[Row], *, preview: bool) -> list[Made | CallerError]:
    if preview:
        return replays.foreseen(rows, _sender())
    with routes.request_span("replay") as span, LISTS.waiting():
        span.tell(items=len(rows))
        return replays.sent(rows, replace(_sender(), trace=span.context) if span.recorded else _sender())


def _sender() -> Sender:
    trace = traces.child(routes.trace_of_request())
    return Sender(caller=caller(), trace=trace, request_id=g.request_id, unless_urgent=HERE.refuse)


def _result(row: Row, made: Made) -> dict[str, Any]:
    action_id = replays.action_id_of(row)
    shown = {"id": str(row.id), "action_id": action_id, "replayed_as": made.subject or None, "repeated": made.repeated}
    foretold = isinstance(made.outcome, DryRun)
    return {**shown, "outcome": answers.written(made.outcome, action_id, "") if foretold else _written(made)}


def _skipped(row: Row, refusal: CallerError | None) -> dict[str, Any]:
    shown = {"id": str(row.id), "action_id": replays.action_id_of(row)}
    if refusal is None:
        return {**shown, "code": "is_replay", "message": _IS_REPLAY, "retryable": False}
    more = f" {errors.summary(refusal.problems)}" if refusal.problems else ""
    return {**shown, "code": refusal.code, "message": f"{refusal}{more}", "retryable": refusal.retryable}


def _written(made: Made) -> Any:
    return answers.written(made.outcome, made.subject, made.subject)


def _newest(connection: Connection, covered: Sequence[Covering], record_id: str) -> Row | None:
    newest = records.of(connection, records.scope(connection, covered), record_id, limit=1)
    return records.to_replay(connection, [newest[0].id])[0] if newest else None


def _oldest(connection: Connection, covered: Sequence[Covering], filters: Mapping[str, Any], part: Part) -> Found:
    within = records.scope(connection, covered, filters.get("tenant"))
    return records.oldest(connection, within, filters, part)
