"""``/api/playbooks/executions/{id}/...``: steps, logs, times and decisions of a run."""

from collections.abc import Callable
from typing import Any

from flask import Response

from api.http import schemas as http_schemas
from api.http.auth import caller, requires
from api.http.blueprint import Blueprint, answer
from api.runs import examples as shown
from api.runs import schemas as shapes
from api.runs import views
from store.engine import db
from store.engine.db import Connection, Row
from store.executions import runs
from tasks.control import decide

blueprint = Blueprint("run_steps", __name__, tag="playbook executions")

_DECISION = shapes.StepDecision()
_ONE = http_schemas.enveloped(shapes.StepDoing)


@blueprint.get("/playbooks/executions/<id:run_id>/steps")
@requires("read:playbooks")
@blueprint.answers(
    200,
    shapes.listed(shapes.StepDoing),
    example={"data": shown.STEPS},
    words="Every execution of a step, one for each loop iteration.",
    fails=(404,),
)
def list_run_steps(run_id: str) -> Response:
    """List the steps of a run.

    Each execution of a step in the order in which they began, inside loops one for each iteration; then the steps
    that the run has not reached, which are pending while it still can reach them.
    """
    return _of_run(run_id, views.step_executions)


@blueprint.get("/playbooks/executions/<id:run_id>/logs")
@requires("read:playbooks")
@blueprint.answers(
    200, shapes.listed(shapes.RunLogLine), example={"data": shown.LOGS}, words="The lines, by time.", fails=(404,)
)
def list_run_logs(run_id: str) -> Response:
    """List the logs of a run.

    The lines of all its steps together, by time.
    """
    return _of_run(run_id, views.logs)


@blueprint.get("/playbooks/executions/<id:run_id>/timeline")
@requires("read:playbooks")
@blueprint.answers(
    200, http_schemas.enveloped(shapes.Timeline), example={"data": shown.TIMELINE}, words="The timeline.", fails=(404,)
)
def get_run_timeline(run_id: str) -> Response:
    """Get the timeline of a run.

    For each execution of a step: how long it was queued, executing and waiting, until now if it has not ended.
    """
    return _of_run(run_id, views.gantt)


@blueprint.post("/playbooks/executions/<id:run_id>/steps/<step:step_id>/approve")
@requires("decide:approvals")
@blueprint.arguments(_DECISION, example=shown.DECISION, required=False)
@blueprint.answers(
    200, _ONE, example={"data": shown.APPROVED}, words="It is approved.", fails=(404, 409), takes_body=True
)
def approve_step(given: dict[str, Any], run_id: str, step_id: str) -> Response:
    """Approve a step.

    It must wait for approval; the run then continues. The first decision counts; later ones answer 409.
    """
    return _decided(given, run_id, step_id, approve=True)


@blueprint.post("/playbooks/executions/<id:run_id>/steps/<step:step_id>/reject")
@requires("decide:approvals")
@blueprint.arguments(_DECISION, example={"note": "A known scanner."}, required=False)
@blueprint.answers(
    200, _ONE, example={"data": shown.REJECTED}, words="It is rejected.", fails=(404, 409), takes_body=True
)
def reject_step(given: dict[str, Any], run_id: str, step_id: str) -> Response:
    """Reject a step.

    It must wait for approval. The run continues at on_reject; without it the step fails. The first decision counts;
    later ones answer 409.
    """
    return _decided(given, run_id, step_id, approve=False)


def _of_run(run_id: str, view: Callable[[Connection, Row], Any]) -> Response:
    with db.read() as connection:
        row = runs.get(connection, caller().workspace_id, run_id)
        return answer({"data": view(connection, row)})


def _decided(given: dict[str, Any], run_id: str, step_id: str, *, approve: bool) -> Response:
    row = decide.decide_step(
        caller(), run_id, step_id, approve=approve, note=given["note"], iteration=given["iteration"]
    )
    with db.read() as connection:
        run = runs.get(connection, caller().workspace_id, run_id)
    return answer({"data": views.step_execution(row, run)})
