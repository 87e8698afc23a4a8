"""The answer to ``POST /api/events?dry_run=true``: what an event would start."""

from collections.abc import Sequence
from typing import Any

from marshmallow import fields

from api.http.base_schema import Answer
from api.http.schemas import anything, described
from playbooks.definitions.triggers import Mismatch
from tasks.dry_run.events import Foretold
from tasks.intake.events import TriggerEvent
from tasks.secrets.brief import brief


class JudgedCondition(Answer):
    """A condition of a playbook's trigger, and what the event has there."""

    condition = fields.String(metadata=described("Where it stands, as a JSON pointer into the playbook."))
    met = fields.Boolean(metadata=described("Whether the event meets it."))
    wanted = anything("What it asks for: a value, or an operator and a value.")
    found = anything("What the event has there; long values are shortened.")
    missing = fields.Boolean(metadata=described("Whether the event has nothing there."))


class ForetoldStart(Answer):
    """A playbook that waits for the event, and what would become of it."""

    playbook_id = fields.String(metadata=described("The playbook."))
    would_start = fields.Boolean(metadata=described("Whether it would start."))
    code = fields.String(
        allow_none=True,
        metadata=described(
            "Why it would not, as a stable word: not_matched, already_started (by an event of this id), or what the "
            "failed run would say; else null."
        ),
    )
    reason = fields.String(allow_none=True, metadata=described("The same as a sentence."))
    execution_id = fields.String(
        allow_none=True, metadata=described("The run that is in its way, or that an event of this id has started.")
    )
    target_asset_id = fields.String(allow_none=True, metadata=described("The asset that it would work on."))
    parameters = fields.Dict(allow_none=True, metadata=described("The parameters that it would take of the event."))
    conditions = fields.List(
        fields.Nested(JudgedCondition), metadata=described("Its conditions, one by one, up to 50.")
    )


class EventForecast(Answer):
    """What an event would start."""

    event_id = fields.String(metadata=described("The event's id."))
    event = fields.String(metadata=described("What would have happened."))
    playbooks = fields.List(
        fields.Nested(ForetoldStart),
        metadata=described("The enabled playbooks that wait for it, those that would start first."),
    )


EXAMPLE: dict[str, Any] = {
    "event_id": "finding-4711",
    "event": "finding.new",
    "playbooks": [
        {
            "playbook_id": "pb-triage-low",
            "would_start": False,
            "code": "not_matched",
            "reason": "The event does not meet a condition.",
            "execution_id": None,
            "target_asset_id": None,
            "parameters": None,
            "conditions": [
                {
                    "condition": "/trigger/conditions/severity",
                    "met": False,
                    "wanted": {"$in": ["info", "low"]},
                    "found": "critical",
                    "missing": False,
                }
            ],
        }
    ],
}


def shown(this: TriggerEvent, found: Sequence[Foretold]) -> dict[str, Any]:
    """The forecast of an event."""
    return {"event_id": this.id, "event": this.event, "playbooks": [_playbook(one) for one in found]}


def _playbook(one: Foretold) -> dict[str, Any]:
    code, reason, run = _why_not(one)
    return {
        "playbook_id": one.playbook_id,
        "would_start": one.starts,
        "code": code,
        "reason": reason,
        "execution_id": run,
        "target_asset_id": one.target,
        "parameters": _parameters(one),
        "conditions": [_condition(looked, met) for looked, met in one.conditions],
    }


def _parameters(one: Foretold) -> dict[str, Any] | None:
    return None if one.parameters is None else {name: brief(value, name) for name, value in one.parameters.items()}


def _why_not(one: Foretold) -> tuple[str | None, str | None, str | None]:
    if one.known is not None:
        return "already_started", "An event of this id has started it.", one.known
    if one.refusal is not None:
        return one.refusal.code, one.refusal.reason, one.refusal.running_id
    if one.starts:
        return None, None, None
    return "not_matched", "The event does not meet a condition.", None


def _condition(looked: Mismatch, met: bool) -> dict[str, Any]:
    return {
        "condition": looked.pointer,
        "met": met,
        "wanted": brief(looked.wanted),
        "found": brief(looked.found, looked.path),
        "missing": looked.missing,
    }
