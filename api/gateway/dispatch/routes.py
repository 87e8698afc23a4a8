"""``/v1/dispatch``: one dispatch, or many, and what became of one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from flask import Response, g
from marshmallow import fields
from webargs import missing

from api.gateway.dispatch import answers, prefer
from api.gateway.dispatch import schemas as shapes
from api.gateway.dispatch.outcome_schemas import ACCEPTED, OUTCOME, OUTCOME_AT
from api.gateway.dispatch.waiting import ends
from api.http import body
from api.http.auth import caller, requires
from api.http.base_schema import Schema
from api.http.blueprint import Blueprint, answer
from api.http.current_request import present
from api.http.documented import error_answers
from api.http.idempotency_key import DISPATCH_KEY, dispatch_key
from api.http.load import HERE, LISTS
from api.http.schemas import wait
from config import logs, spans
from config.errors import CallerError, InvalidRequest, NotFound, Problem, Unavailable
from config.settings import settings
from config.spans import Span
from gateway import gate_column, requests, traces
from gateway.gate_column import Gate
from gateway.outcomes import Outcome
from gateway.requests import MAX_ITEMS
from store.engine import db
from store.executions import results
from store.executions.transitions import TERMINAL
from tasks import tenants
from tasks.control import reach
from tasks.intake.dispatches import accept as dispatches
from tasks.intake.dispatches import ends as dispatch_ends
from tasks.intake.dispatches import gate as dispatch_gate
from tasks.intake.dispatches.batch import Result, Taken
from tasks.intake.dispatches.rows import Asked

blueprint = Blueprint("dispatch", __name__, tag="dispatch")

#: characters of a place in a batch
_PLACE = len(f"/{MAX_ITEMS}")
#: bytes of a batch
MAX_BATCH_BYTES = 8 * 1024 * 1024


class DispatchQuery(Schema):
    """Whether the rules are asked and nothing is done."""

    dry_run = fields.Boolean(
        load_default=False, metadata={"description": "Ask the rules, do nothing.", "example": True}
    )


class WaitQuery(Schema):
    """How long a reader is ready to wait for the end."""

    wait = wait("for the end; none where too many wait.")


@blueprint.post("/dispatch", parameters=[shapes.PREFER, DISPATCH_KEY, *shapes.TRACE])
@requires("dispatch")
@blueprint.reads(shapes.Dispatch(), example=shapes.DISPATCH)
@blueprint.arguments(DispatchQuery(), location="query")
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
        "id_reused",
        "id_in_use",
        "changed",
        "invalid_parameters",
        "overloaded",
    ),
    takes_body=True,
)
@blueprint.also(202, OUTCOME, example=ACCEPTED, words="It is accepted and has not ended yet.", headers=OUTCOME_AT)
def dispatch(query: dict[str, Any]) -> Response:
    """Dispatch something by a provider.

    The rules decide what becomes of it. The answer comes with the outcome; where that takes longer than the sender
    waits, 202 and the address at which it can be asked for. Under the same id the same dispatch is made once; an
    Idempotency-Key serves as the id of one that has none.
    """
    given = body.read(present())
    read, problems = requests.read({} if given is missing else given)
    if read is None:
        raise InvalidRequest("The dispatch has faults.", problems=problems)
    asked = _asked(read, dispatch_key())
    if query["dry_run"]:
        return answer(_foretold(asked))
    return answered(asked)


def sent(read: requests.Dispatch) -> Response:
    """Send one dispatch for the caller; the answer to it.

    Raises:
        CallerError: it is not accepted.
    """
    return answered(_asked(read, dispatch_key()))


def answered(asked: Asked) -> Response:
    """Send one dispatch, as ``sent``."""
    [result], [outcome] = _carried_out([asked])
    if isinstance(result, CallerError):
        raise result
    return answers.single(result, outcome)


@blueprint.post("/dispatch/batch", parameters=[shapes.PREFER, DISPATCH_KEY, *shapes.TRACE])
@requires("dispatch")
@blueprint.reads(shapes.BATCH_BODY, example=shapes.BATCH)
@blueprint.arguments(DispatchQuery(), location="query")
@blueprint.answers(
    200,
    shapes.BATCH_ANSWER,
    example=shapes.BATCH_OUTCOME,
    words="What became of each, in order.",
    takes_body=True,
    fails=("overloaded",),
)
@blueprint.also(
    202, shapes.BATCH_ANSWER, example=shapes.BATCH_ACCEPTED, words="What became of each; some have not ended yet."
)
def dispatch_batch(query: dict[str, Any]) -> Response:
    """Dispatch many at once.

    All that is accepted is accepted in one transaction; a fault of one is its own. A list without the object around it
    is answered with a list. Under an Idempotency-Key the id of a dispatch that has none is the key and its place.
    """
    given = body.read(present(), most=MAX_BATCH_BYTES)
    bare = isinstance(given, list)
    items = _items(given)
    key = dispatch_key(room=_PLACE)
    found: list[Any] = [_read_item(item, key and f"{key}/{place}") for place, item in enumerate(items)]
    places = [place for place, one in enumerate(found) if isinstance(one, Asked)]
    asked = [found[place] for place in places]
    accepted = False
    if query["dry_run"]:
        for place in places:
            found[place] = _foretold_item(found[place])
    elif asked:
        done, known = _carried_out(asked)
        for place, result, outcome in zip(places, done, known, strict=True):
            found[place] = result if isinstance(result, CallerError) else answers.members(result, outcome)
            accepted |= isinstance(result, Taken) and outcome is None
    listed = [answers.error_item(one) if isinstance(one, CallerError) else answers.item(one) for one in found]
    return answer(listed if bare or answers.is_tagged() else {"results": listed}, 202 if accepted else 200)


@blueprint.get("/dispatch/<dispatch:dispatch_id>")
@requires("dispatch")
@blueprint.arguments(WaitQuery(), location="query")
@blueprint.answers(200, OUTCOME, example=shapes.EXECUTED, words="What became of it, or accepted.", fails=(404,))
def get_dispatch(query: dict[str, Any], dispatch_id: str) -> Response:
    """Get what became of a dispatch.

    With wait, the answer comes with its end, at the latest after that many seconds.
    """
    row = _row(dispatch_id)
    if row.status not in TERMINAL:
        with ends().place([dispatch_id], query["wait"]) as waiting:
            if waiting is not None:
                ends().wait(waiting, [dispatch_id], query["wait"])
                row = _row(dispatch_id)
    outcome = dispatch_ends.known(row)
    return answer(answers.written(outcome, _gate(row).given_id or row.id, row.id))


def _row(execution_id: str) -> Any:
    with db.read() as connection:
        rows = results.read(connection, [execution_id])
    if not rows or not reach.covers_dispatch(caller(), rows[0]):
        raise NotFound(f"There is no dispatch {execution_id!r}.")
    return rows[0]


def _gate(row: Any) -> Gate:
    gate = gate_column.read(row.gate)
    assert gate is not None
    return gate


def _items(given: Any) -> list[Any]:
    """The dispatches of a batch, in either of its forms.

    Raises:
        InvalidRequest: it is neither, is empty, or has too many.
    """
    if isinstance(given, dict):
        unknown = [name for name in given if name != "actions"]
        if unknown:
            problems = [Problem(f"/{name[:64]}", _instead(given, name)) for name in unknown[:10]]
            raise InvalidRequest("The batch has unknown members.", problems=problems)
        given = given.get("actions")
    if not isinstance(given, list):
        raise InvalidRequest(problems=[Problem("/actions", f"must be a list of 1 to {MAX_ITEMS} dispatches")])
    if not 1 <= len(given) <= MAX_ITEMS:
        detail = f"must have 1 to {MAX_ITEMS} dispatches, not {len(given)}"
        raise InvalidRequest(problems=[Problem("/actions", detail)])
    return given


def _instead(given: Mapping[str, Any], name: str) -> str:
    """What to send instead of an object with an unknown member."""
    if name in requests.MEMBERS and "actions" not in given:
        return "this is one dispatch: send it to /v1/dispatch, or in a list"
    if "actions" not in given and isinstance(given[name], list):
        return f"'{name[:64]}' is not known: send {{\"actions\": [...]}} or the list alone"
    return "a batch has actions and nothing else"


def _read_item(item: Any, key: str | None) -> Asked | CallerError:
    read, problems = requests.read(item)
    if read is None:
        return InvalidRequest("The dispatch has faults.", problems=problems)
    if (present().content_length or MAX_BATCH_BYTES) > body.MAX_BYTES and requests.is_too_large(read.payload):
        detail = f"must have at most {requests.MAX_PAYLOAD_BYTES} bytes"
        return InvalidRequest("The dispatch has faults.", problems=[Problem("/payload", detail)])
    try:
        return _asked(read, key)
    except Unavailable:
        raise
    except CallerError as refusal:
        return refusal


def _asked(read: requests.Dispatch, key: str | None) -> Asked:
    """The dispatch with its sender and its trace; ``key`` is its id if it has none.

    Raises:
        Forbidden: the caller's grants do not cover it.
    """
    tenants.require(caller(), read.tenant, read.namespace, read.provider, read.action_type)
    trace = traces.child(trace_of_request())
    named = read if key is None or read.id is not None else replace(read, id=key)
    return Asked(caller=caller(), dispatch=named, trace=trace, request_id=g.request_id, unless_urgent=HERE.refuse)


def trace_of_request() -> dict[str, str]:
    """The trace context of the request, in every line that it logs."""
    if "trace" not in g:
        headers = present().headers
        g.trace = traces.read(headers.get("traceparent"), headers.get("tracestate"))
        if g.trace:
            logs.bind(trace_id=traces.trace_id(g.trace))
    found: dict[str, str] = g.trace
    return found


def _carried_out(asked: Sequence[Asked]) -> tuple[list[Result], list[Outcome | None]]:
    """Accept dispatches, and wait as long as the sender does."""
    with request_span("dispatch") as span:
        if span.recorded:
            span.tell(items=len(asked))
            asked = [replace(one, trace=span.context) for one in asked]
        return _accepted(asked)


def request_span(name: str) -> Span:
    """The span of this request: the first of a trace where none has come."""
    span = spans.span(name, trace_of_request(), kind="server", begins=True)
    if span.recorded:
        span.tell(request_id=g.request_id)
        logs.bind(trace_id=traces.trace_id(span.context))
    return span


def _accepted(asked: Sequence[Asked]) -> tuple[list[Result], list[Outcome | None]]:
    seconds, here = prefer.seconds(present(), settings().dispatch_wait), ends()
    with here.place([one.subject for one in asked], seconds) as waiting:
        if waiting is not None:
            asked = [replace(one, reply=here.process) for one in asked]
        with LISTS.waiting():
            done = dispatches.accept(asked)
        taken = [one for one in done if isinstance(one, Taken) and one.outcome is None]
        known = _ends_of([one for one in taken if one.replayed])
        left = [one for one in taken if one.subject not in known]
        if waiting is not None and left:
            here.wait(waiting, [one.subject for one in left], seconds)
            known |= _ends_of(left)
    return done, [(one.outcome or known.get(one.subject)) if isinstance(one, Taken) else None for one in done]


def _ends_of(taken: Sequence[Taken]) -> dict[str, Outcome]:
    if not taken:
        return {}
    with db.read() as connection:
        return dispatch_ends.read(connection, [one.subject for one in taken])


def _foretold(asked: Asked) -> Any:
    told = dispatch_gate.foretold(asked)
    return answers.written(told, asked.action_id, asked.subject)


def _foretold_item(asked: Asked) -> Any:
    try:
        return _foretold(asked)
    except CallerError as refusal:
        return refusal
