"""``POST /api/playbooks/simulate``: what a playbook would do, stored or not."""

from collections.abc import Iterator, Mapping
from typing import Any

from flask import Response
from marshmallow import ValidationError, fields, validate, validates_schema

from api.events.schemas import MAX_ID_CHARACTERS, check_name
from api.http import schemas as http_schemas
from api.http.auth import caller, requires
from api.http.base_schema import Answer
from api.http.blueprint import Blueprint, answer
from api.http.documented import error_answers
from api.http.load import HERE
from api.http.schemas import ID_PATTERN, Strict, anything, described, failure
from config.types import Json
from playbooks.plan import Plan
from playbooks.states import Status
from store.engine import rest
from store.executions import transitions
from tasks.dry_run import drafts, mocks
from tasks.intake.events import MAX_TARGET_CHARACTERS

blueprint = Blueprint("simulations", __name__, tag="playbooks")

#: mocks of one simulation
MOST_MOCKS = 500


class MockError(Strict):
    """An error that a step ends with."""

    code = fields.String(validate=validate.Length(1, 64), metadata=described("A stable word; mocked by default."))
    message = fields.String(validate=validate.Length(max=1024), metadata=described("A sentence."))


class MockOutcome(Strict):
    """What a step ends with in a simulation: an output, or an error."""

    output = fields.Raw(allow_none=True, metadata=described("What later steps read as its output."))
    error = fields.Nested(MockError, metadata=described("The error with which it fails."))

    @validates_schema
    def _one(self, given: Mapping[str, Any], **_: Any) -> None:
        if len(given) != 1:
            raise ValidationError("Give an output or an error.")


class SimulatedEvent(Strict):
    """The event by which the playbook would be started."""

    event = fields.String(required=True, validate=check_name, metadata=described("What has happened: finding.new."))
    data = fields.Dict(keys=fields.String(), load_default=dict, metadata=described("What it tells."))
    id = fields.String(validate=validate.Length(1, MAX_ID_CHARACTERS), metadata=described("Its id."))


class WantedSimulation(Strict):
    """What is simulated."""

    definition = fields.Dict(
        keys=fields.String(), metadata=described("The playbook, as POST /api/playbooks takes it. It is not stored.")
    )
    playbook_id = fields.String(
        validate=validate.Regexp(ID_PATTERN),
        metadata=described("In place of definition: a stored playbook, in its present version.", pattern=ID_PATTERN),
    )
    parameters = fields.Dict(
        keys=fields.String(), metadata=described("Its parameters; not given: those that the event has.")
    )
    event = fields.Nested(SimulatedEvent, metadata=described("The event that starts it; its conditions must hold."))
    target_asset_id = fields.String(
        validate=validate.Length(1, MAX_TARGET_CHARACTERS),
        metadata=described("The asset it works on; not given: the event's."),
    )
    mocks = fields.Dict(
        keys=fields.String(),
        values=fields.Nested(MockOutcome),
        load_default=dict,
        validate=validate.Length(max=MOST_MOCKS),
        metadata=described("Step → what it ends with, in place of a success with an unknown output."),
    )

    @validates_schema
    def _one(self, given: Mapping[str, Any], **_: Any) -> None:
        if ("definition" in given) == ("playbook_id" in given):
            raise ValidationError("Give a definition or a playbook_id.", "definition")


class SimulatedStep(Answer):
    """A step of a simulated run."""

    step_id = fields.String(metadata=described("The step."))
    name = fields.String(metadata=described("What people call it."))
    type = fields.String(metadata=described("What it does."))
    iteration = fields.String(allow_none=True, metadata=described("Inside loops: which; null elsewhere."))
    taken = fields.Boolean(metadata=described("Whether the run would reach it; others are described as if it did."))
    verdict = fields.String(metadata=described("would run, would wait, would be skipped, would fail, or another."))
    status = fields.String(metadata=described("How it would end.", enum=["completed", "failed", "skipped"]))
    proved = fields.List(fields.String(), metadata=described("What is certain."))
    assumed = fields.List(fields.String(), metadata=described("What had to be assumed."))
    input = anything("What it would be given; unknown parts in <...>.")
    output = anything("What it would do or decide.")
    error = failure("The error that it would fail with; null: none.")


class PredictedRun(Answer):
    """What a run would do."""

    predicted_status = fields.String(metadata=described("How the run would end.", enum=["completed", "failed"]))
    predicted_error = failure("The error that it would fail with; null: none.")
    proved = fields.Integer(metadata=described("How many things are certain."))
    assumed = fields.Integer(metadata=described("How many had to be assumed."))
    steps = fields.List(fields.Nested(SimulatedStep), metadata=described("Each step, those on the path first."))


_WANTED = WantedSimulation()
_EXAMPLE = {
    "definition": {
        "name": "Triage",
        "steps": [
            {"id": "look-up", "type": "action", "action_ref": "act-look-up"},
            {
                "id": "known",
                "type": "condition",
                "expression": "steps.look-up.output.malicious == true",
                "on_true": "end",
                "on_false": "end",
            },
        ],
    },
    "mocks": {"look-up": {"output": {"malicious": True}}},
}
_ANSWER: dict[str, Any] = {
    "predicted_status": Status.COMPLETED,
    "predicted_error": None,
    "proved": 1,
    "assumed": 0,
    "steps": [
        {
            "step_id": "known",
            "name": "known",
            "type": "condition",
            "iteration": None,
            "taken": True,
            "verdict": "would run",
            "status": Status.COMPLETED,
            "proved": ["the condition is true with the values given"],
            "assumed": [],
            "input": {},
            "output": {"result": True, "next": "end"},
            "error": None,
        }
    ],
}


@blueprint.post("/playbooks/simulate")
@requires("write:playbooks", "read:playbooks")
@blueprint.arguments(_WANTED, example=_EXAMPLE)
@blueprint.answers(
    200,
    http_schemas.enveloped(PredictedRun),
    example={"data": _ANSWER},
    words="What the run would do.",
    fails=(
        404,
        409,
        422,
        *error_answers.OUTWARD,
        "invalid_playbook",
        "invalid_parameters",
        "target_required",
        "not_matched",
        "simulation_too_long",
    ),
    takes_body=True,
)
def simulate_playbook(given: dict[str, Any]) -> Response:
    """Simulate a playbook.

    A dry run of a definition that is not stored, or of a stored playbook: conditions and templates are evaluated, rules
    are asked, each action says what it would do. Outcomes that only a run can know are assumed, or given in ``mocks``.
    Nothing is stored, executed, counted or sent. It ends after 5 seconds, or when its steps say more than 8 MiB.
    """
    draft = drafts.Draft(
        definition=given.get("definition"),
        playbook_id=given.get("playbook_id"),
        parameters=given.get("parameters"),
        event=_event(given.get("event")),
        target=given.get("target_asset_id"),
        mocked=mocks.read(given["mocks"]),
    )
    found = drafts.simulate(caller(), draft, _rest)
    members = {name: found.output[name] for name in ("predicted_status", "predicted_error", "proved", "assumed")}
    return answer({"data": {**members, "steps": list(_steps(found.rows, found.plan))}})


def _event(given: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if given is None else {"id": "simulated", **given}


def _rest(began: float) -> None:
    with HERE.aside():
        rest.after_bite(began)


def _steps(rows: list[Json], plan: Plan) -> Iterator[dict[str, Any]]:
    for row in rows:
        node, report = plan.nodes[row["step_id"]], transitions.load(row["report"])
        status = row["status"] if report["taken"] else Status.SKIPPED
        yield {
            "step_id": node.id,
            "name": node.step.get("name") or node.id,
            "type": node.type,
            "iteration": row["iteration"] or None,
            **{name: report[name] for name in ("taken", "verdict", "proved", "assumed")},
            "status": str(status),
            **{name: transitions.load(row[name]) for name in ("input", "output", "error")},
        }
