"""``/api/playbooks/executions/{id}/...``: steps, logs, times and decisions of a run."""

from typing import Any

from flask import Response
from marshmallow import fields

from api.http import pages
from api.http import schemas as http_schemas
from api.http.auth import caller, requires
from api.http.blueprint import Blueprint, answer
from api.http.documented import error_answers
from api.runs import examples as shown
from api.runs import queries, views
from api.runs import schemas as shapes
from store.access import Caller
from store.engine import db
from store.engine.db import Connection, Row
from store.executions.lists import run_listing
from tasks.control import decide, reach

blueprint = Blueprint("run_steps", __name__, tag="playbook executions")

#: of a list shown to its end
_END = {"next_cursor": None}
_DECISION = shapes.StepDecision()
_ONE = http_schemas.enveloped(shapes.StepDoing)


@blueprint.get("/playbooks/executions/<id:run_id>/steps")
@requires("read:playbooks")
@blueprint.arguments(queries.StepsQuery(), location="query")
@blueprint.answers(
    200,
    http_schemas.listed(shapes.StepDoing),
    example={"data": shown.STEPS, "meta": _END},
    headers=pages.LINK,
    words="Every execution of a step, one for each loop iteration.",
    fails=(404,),
)
def list_run_steps(query: dict[str, Any], run_id: str) -> Response:
    """List the steps of a run.

    Each execution of a step in the order in which they began, inside loops one for each iteration; then the steps
    that the run has not reached, which are pending while it still can reach them. The list is complete unless cursor
    or limit is given.
    """
    run, rows = pages.read(_steps, caller(), run_id)
    steps = views.of_or_after(query.get("since"), views.steps_of(run, rows))
    part, meta = pages.part_of(steps, views.place, query)
    ids = [step.row["id"] for step in part if step.row is not None]
    results = pages.read(run_listing.step_results, ids, outputs=query["outputs"])
    return pages.part_answer(views.step_items(run, part, results), meta, query)


@blueprint.get("/playbooks/executions/<id:run_id>/logs")
@requires("read:playbooks")
@blueprint.arguments(pages.SinceQuery(), location="query")
@blueprint.answers(
    200,
    http_schemas.listed(shapes.RunLogLine),
    example={"data": shown.LOGS, "meta": _END},
    headers=pages.LINK,
    words="The lines, by time.",
    fails=(404,),
)
def list_run_logs(query: dict[str, Any], run_id: str) -> Response:
    """List the logs of a run.

    The lines of all its steps together, by time. The list is complete unless cursor or limit is given.
    """
    rows = pages.read(_logs, caller(), run_id)
    part, meta = pages.part_of(views.log_lines(rows, query.get("since")), views.line_place, query)
    return pages.part_answer([line.shown for line in part], meta, query)


@blueprint.get("/playbooks/executions/<id:run_id>/timeline")
@requires("read:playbooks")
@blueprint.arguments(queries.TimelineQuery(), location="query")
@blueprint.answers(
    200,
    http_schemas.enveloped(shapes.Timeline, meta=fields.Nested(http_schemas.PartMeta)),
    example={"data": shown.TIMELINE, "meta": _END},
    headers=pages.LINK,
    words="The timeline.",
    fails=(404,),
)
def get_run_timeline(query: dict[str, Any], run_id: str) -> Response:
    """Get the timeline of a run.

    For each execution of a step: how long it was queued, executing and waiting, until now if it has not ended. The
    timeline is complete unless cursor or limit is given.
    """
    run, rows = pages.read(_steps, caller(), run_id)
    reached = [step for step in views.steps_of(run, rows) if step.row is not None]
    part, meta = pages.part_of(views.of_or_after(query.get("since"), reached), views.place, query)
    history = pages.read(run_listing.status_history, run.workspace_id, [step.row["id"] for step in part if step.row])
    return pages.part_answer(views.gantt(run, part, history), meta, query)


@blueprint.post("/playbooks/executions/<id:run_id>/steps/<step:step_id>/approve")
@requires("decide:approvals")
@blueprint.arguments(_DECISION, example=shown.DECISION, required=False)
@blueprint.answers(
    200,
    _ONE,
    example={"data": shown.APPROVED},
    words="It is approved.",
    fails=(404, 409, *error_answers.VOTED, "no_approval"),
    takes_body=True,
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
    200,
    _ONE,
    example={"data": shown.REJECTED},
    words="It is rejected.",
    fails=(404, 409, *error_answers.VOTED, "no_approval"),
    takes_body=True,
)
def reject_step(given: dict[str, Any], run_id: str, step_id: str) -> Response:
    """Reject a step.

    It must wait for approval. The run continues at on_reject; without it the step fails. The first decision counts;
    later ones answer 409.
    """
    return _decided(given, run_id, step_id, approve=False)


def _steps(connection: Connection, asking: Caller, run_id: str) -> tuple[Row, list[Row]]:
    return reach.run(connection, asking, run_id), run_listing.of_run(connection, run_id)


def _logs(connection: Connection, asking: Caller, run_id: str) -> list[Row]:
    return run_listing.logs(connection, reach.run(connection, asking, run_id).id)


def _decided(given: dict[str, Any], run_id: str, step_id: str, *, approve: bool) -> Response:
    with db.read() as connection:
        run = reach.run(connection, caller(), run_id)
    asking, more = reach.acting(caller(), run), {"note": given["note"], "iteration": given["iteration"]}
    row = decide.decide_step(asking, run_id, step_id, approve=approve, **more)
    return answer({"data": views.step_execution(row, run)})
