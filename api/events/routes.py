"""``/api/events``: events from other systems start the playbooks that wait for them."""

from typing import Any

from flask import Response, g

from api.events import forecast
from api.events import schemas as shapes
from api.http import schemas as http_schemas
from api.http.auth import caller, requires
from api.http.blueprint import Blueprint, answer
from api.http.idempotency_key import KEY_HEADER, idempotency_key
from api.http.load import HERE, LISTS
from config.errors import InvalidRequest, Problem
from expressions.suggestions import did_you_mean
from playbooks.definitions.events import USUAL
from playbooks.definitions.parameter_values import value_fault
from store.ids import new_id
from tasks.dry_run import events as dry_run
from tasks.intake.candidates import Refusal
from tasks.intake.events import TriggerEvent, handle_event
from tasks.secrets.brief import brief

blueprint = Blueprint("events", __name__, tag="events")

_EVENT = shapes.Event()


@blueprint.post("/events", parameters=[KEY_HEADER])
@requires("execute:playbooks")
@blueprint.arguments(shapes.EventQuery(), location="query")
@blueprint.arguments(_EVENT, example=shapes.EXAMPLE)
@blueprint.answers(
    200,
    http_schemas.enveloped(forecast.EventForecast),
    example={"data": forecast.EXAMPLE},
    words="With dry_run=true: what it would start.",
)
@blueprint.answers(
    202,
    http_schemas.enveloped(shapes.EventOutcome),
    example={"data": shapes.OUTCOME},
    words="Every playbook that waits for it was started, or could not be and says why.",
    fails=(422, "idempotency_key_reused", "overloaded"),
    takes_body=True,
)
def send_event(query: dict[str, Any], given: dict[str, Any]) -> Response:
    """Send an event.

    Each enabled playbook whose trigger names the event, or a wildcard above it, and whose conditions it meets is
    started. What is wrong with one of them keeps no other from being started. Sent again under the same id (or
    Idempotency-Key, which serves as the id where the body has none), it is answered with the same runs and
    ``repeated``; playbooks that could not be started are tried again. For each that could not be started there is a
    failed run; for each whose conditions the event does not meet, the answer names the first of them.

    With ``dry_run=true`` nothing is started or written: the answer tells what would be, condition by condition.
    """
    _check_size(given["data"])
    key = idempotency_key()
    named = given.get("id") or key
    this = TriggerEvent(
        workspace_id=caller().workspace_id,
        actor=caller().key_id,
        event=given["event"],
        id=named or new_id("event"),
        data=given["data"],
        named=named is not None,
        request_id=g.request_id,
        unless_urgent=HERE.refuse,
    )
    if query["dry_run"]:
        return answer({"data": forecast.shown(this, dry_run.foretell(this))})
    with LISTS.waiting():
        result = handle_event(this)
    members = {
        "event_id": this.id,
        "event": this.event,
        "considered": result.considered,
        "note": _record(this.event) if not result.considered else None,
        "repeated": result.repeated,
        "started": [{"playbook_id": name, "execution_id": run_id} for name, run_id in result.started.items()],
        "not_started": [_not_started(name, refusal) for name, refusal in result.not_started.items()],
        "not_matched": [
            {
                "playbook_id": name,
                "condition": one.pointer,
                "wanted": brief(one.wanted),
                "found": brief(one.found, one.path),
                "missing": one.missing,
            }
            for name, one in result.not_matched.items()
        ],
    }
    replayed = bool(result.started) and not result.fresh
    return answer({"data": members}, 202, {"Idempotency-Replayed": "true"} if replayed else None)


def _not_started(playbook_id: str, refusal: Refusal) -> dict[str, str | None]:
    running = {"running_execution_id": refusal.running_id} if refusal.running_id else {}
    said = {"playbook_id": playbook_id, "code": refusal.code, "reason": refusal.reason, **running}
    return {**said, "execution_id": refusal.run_id}


def _record(event: str) -> str | None:
    """The event name that the sender may have meant.

    It is looked for when no playbook waits for the event.
    """
    hint = "" if event in USUAL else did_you_mean(event, USUAL)
    return f"No enabled playbook waits for {event!r}{hint}" if hint else None


def _check_size(data: dict[str, Any]) -> None:
    """Refuse data too large to keep with every run it starts.

    Raises:
        InvalidRequest: it is too large or too deep.
    """
    if fault := value_fault({"type": "object"}, data):
        raise InvalidRequest(problems=[Problem("/data", fault)])
