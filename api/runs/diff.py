"""``/api/playbooks/executions/{id}/diff``: compares two runs of a playbook.

One may be a dry run and the other a real one.
"""

from typing import Any

from flask import Response
from marshmallow import fields, validate

from api.http import schemas as http_schemas
from api.http.auth import caller, requires
from api.http.base_schema import Answer
from api.http.blueprint import Blueprint, answer
from api.http.schemas import anything, described
from api.runs import views
from config.errors import Conflict
from playbooks.comparison import compare
from playbooks.states import Mode, Status
from store.definitions import playbooks
from store.engine import db
from store.engine.db import Row
from store.executions import steps, transitions
from tasks.control import reach
from tasks.definitions import revisions
from tasks.runs.context import parted

blueprint = Blueprint("comparisons", __name__, tag="playbook executions")

_VERDICTS = ("same", "differs", "only_in_first", "only_in_second")


class AgainstQuery(http_schemas.Strict):
    """The other run."""

    against = fields.String(
        required=True,
        validate=validate.Regexp(http_schemas.ID_PATTERN),
        metadata=described(
            "The run it is compared with, of the same playbook.", example="pexec-0199f3c2a1b46d0e8f2c41"
        ),
    )


class ComparedRun(Answer):
    """One of two runs."""

    execution_id = fields.String(metadata=described("The run's id."))
    playbook_id = fields.String(metadata=described("Its playbook."))
    version = fields.String(metadata=described("The version of the playbook that it runs."))
    status = fields.String(metadata=described("Its status."))
    dry_run = fields.Boolean(metadata=described("Whether it is a dry run: a prediction."))


class StepDifference(Answer):
    """A value of a step in both runs."""

    pointer = fields.String(metadata=described("Where it is: the status, a parameter, the way taken."))
    predicted = anything("The value in the first run.")
    actual = anything("The value in the second run.")


class ComparedStep(Answer):
    """A step in both runs."""

    step_id = fields.String(metadata=described("The step."))
    iteration = fields.String(metadata=described("The iteration of the loops around it; empty outside loops."))
    verdict = fields.String(
        validate=validate.OneOf(_VERDICTS),
        metadata=described("Whether both did the same; a step that was skipped and one never reached did."),
    )
    differences = fields.List(fields.Nested(StepDifference), metadata=described("The differences."))
    assumed = fields.List(
        fields.Nested(StepDifference),
        metadata=described("What the dry run could not know and what it was, no difference."),
    )


class Comparison(Answer):
    """Two runs of a playbook, side by side."""

    same = fields.Boolean(metadata=described("Whether every step did the same."))
    first = fields.Nested(ComparedRun, metadata=described("The prediction, or the run compared with."))
    second = fields.Nested(ComparedRun, metadata=described("The run that is compared with it."))
    steps = fields.List(fields.Nested(ComparedStep), metadata=described("Every step of either run, in document order."))


_RUN = {
    "execution_id": "pexec-0199f3c2a1b46d0e8f2c41",
    "playbook_id": "pb-critical-finding-alert",
    "version": "1.0.0",
    "status": Status.COMPLETED,
    "dry_run": True,
}
_FOUND = {"pointer": "/input/issue", "predicted": "<steps.create-ticket.output.issue_key>", "actual": "SEC-14"}
_CHANGED = {"pointer": "/status", "predicted": "completed", "actual": "failed"}
_EXAMPLE = {
    "same": False,
    "first": _RUN,
    "second": {**_RUN, "execution_id": "pexec-0199f3c2b7d05c1e4a9b20", "status": Status.FAILED, "dry_run": False},
    "steps": [
        {"step_id": "notify", "iteration": "", "verdict": "same", "differences": [], "assumed": [_FOUND]},
        {"step_id": "create-ticket", "iteration": "", "verdict": "differs", "differences": [_CHANGED], "assumed": []},
    ],
}


@blueprint.get("/playbooks/executions/<id:run_id>/diff")
@requires("read:playbooks")
@blueprint.arguments(AgainstQuery(), location="query")
@blueprint.answers(
    200,
    http_schemas.enveloped(Comparison),
    example={"data": _EXAMPLE},
    words="The comparison.",
    fails=(404, 409, "different_playbooks"),
)
def compare_playbook_executions(query: dict[str, Any], run_id: str) -> Response:
    """Compare two runs.

    Compares, step by step, the status, the parameters and the path taken. If one of them is a dry run, it counts as
    the prediction; what it could not know is not a difference.
    """
    with db.read() as connection:
        after = reach.run(connection, caller(), run_id)
        before = reach.run(connection, caller(), query["against"])
        if before.action_id != after.action_id:
            raise Conflict("These are not runs of the same playbook.", code="different_playbooks")
        if after.mode == Mode.DRY_RUN != before.mode:
            before, after = after, before
        rows = [steps.of_run(connection, row.id) for row in (before, after)]
        versions = playbooks.versions(connection, {before.revision_id, after.revision_id})
    first, second = (_in_order(row, found) for row, found in zip((before, after), rows, strict=True))
    compared = compare(first, second, predicted=before.mode == Mode.DRY_RUN)
    sides = {"first": _side(before, versions), "second": _side(after, versions)}
    return answer({"data": {"same": compared["same"], **sides, "steps": compared["steps"]}})


def _side(row: Row, versions: dict[str, str]) -> dict[str, Any]:
    return {
        "execution_id": row.id,
        "playbook_id": row.action_id,
        "version": versions[row.revision_id],
        "status": row.status,
        "dry_run": row.mode == Mode.DRY_RUN,
    }


def _in_order(run: Row, rows: list[Row]) -> list[dict[str, Any]]:
    """The steps of a run in the document's order, then by iteration."""
    _, plan = revisions.playbook(run.revision_id)
    rows = sorted(rows, key=lambda row: (plan.nodes[row.step_id].index, parted(row.iteration)))
    return [
        {
            "step_id": row.step_id,
            "iteration": row.iteration or "",
            "type": row.type,
            "status": row.status,
            "input": views.carried_by_step(run, plan.nodes[row.step_id], row.input or "{}"),
            "output": transitions.load(row.output),
        }
        for row in rows
    ]
