"""``/api/actions/{id}/trigger``: the hot path of the API."""

from typing import Any

from flask import Response, g

from api.actions import examples, schemas
from api.http import schemas as http_schemas
from api.http import times
from api.http.auth import caller, requires
from api.http.blueprint import LOCATION, Blueprint, finished, written
from api.http.current_request import present
from api.http.documented import error_answers
from api.http.idempotency_key import KEY_HEADER, idempotency_key
from api.http.load import HERE, LISTS
from gateway import gate_column
from playbooks.states import Mode
from store.definitions import actions
from store.engine import db
from tasks.intake.dispatch import AcceptedExecution, DispatchRequest, dispatch

blueprint = Blueprint("triggers", __name__, tag="actions")

_TRIGGER = schemas.Trigger()


def _declared(action_id: str) -> tuple[str, list[str]]:
    with db.read() as connection:
        action = actions.get(connection, caller().workspace_id, action_id)
    return "action", [one["name"] for one in action.revision.definition["parameters"]]


@blueprint.post("/actions/<id:action_id>/trigger", parameters=[KEY_HEADER])
@requires("execute:actions")
@blueprint.arguments(_TRIGGER, example=examples.TRIGGER, required=False, declared=_declared)
@blueprint.answers(
    202,
    http_schemas.enveloped(schemas.Accepted),
    example={"data": examples.ACCEPTED},
    words="Accepted: the execution is recorded and will not be lost. Location is its address.",
    headers=LOCATION,
    fails=(404, 409, 422, *error_answers.OUTWARD, "idempotency_key_reused", "invalid_parameters", "overloaded"),
    takes_body=True,
)
def trigger_action(given: dict[str, Any], action_id: str) -> Response:
    """Trigger an action.

    Answers as soon as the execution is recorded; a worker performs it. Follow it at the address in Location.
    """
    mode: Mode = Mode.SANDBOX if given["sandbox"] else Mode.DRY_RUN if given["dry_run"] else Mode.LIVE
    with LISTS.waiting():
        accepted = dispatch(
            DispatchRequest(
                caller=caller(),
                action_id=action_id,
                parameters=given["parameters"],
                target=given["target"],
                mode=mode,
                idempotency_key=idempotency_key(),
                request_id=g.request_id,
                unless_urgent=HERE.refuse,
            )
        )
    prefix = present().path.partition("/actions/")[0]
    headers = {"Location": f"{prefix}/actions/executions/{accepted.execution_id}"}
    if accepted.replayed:
        headers["Idempotency-Replayed"] = "true"
    return finished(_text(accepted), 202, headers)


#: the answer before, and behind, what a rule adds; ids and times need no escapes
_ACCEPTED = (
    '{"data":{"execution_id":"%s","id":"%s","action_id":"%s","status":"%s","created_at":"%s","started_at":null,'
    '"sandbox":%s,"dry_run":%s%s}}'
)
_FLAGS = {False: "false", True: "true"}


def _text(accepted: AcceptedExecution) -> str:
    """The answer, written from prepared pieces."""
    decided = "," + written(gate_column.shown(accepted.gate))[1:-1] if accepted.gate is not None else ""
    return _ACCEPTED % (
        accepted.execution_id,
        accepted.execution_id,
        accepted.action_id,
        accepted.status,
        times.stamp(accepted.created_at),
        _FLAGS[accepted.mode == Mode.SANDBOX],
        _FLAGS[accepted.mode == Mode.DRY_RUN],
        "" if decided == "," else decided,
    )
