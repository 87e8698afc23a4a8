"""The schemas of whole definitions, as an editor takes them: JSON Schema 2020-12."""

import functools
from typing import Any

from playbooks.definitions import actions, fields, parameters, step_types
from playbooks.definitions.events import EVENTS, MAX_EVENT_CHARACTERS
from playbooks.definitions.parameter_values import TYPES as VALUE_TYPES
from playbooks.definitions.triggers import MAX_CONDITIONS, OPERATORS
from playbooks.schemas import members, steps
from playbooks.schemas.members import Schema, flag, line, nullable, text, whole

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_AT = "#/$defs/"
_ID = "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
_VERSION = r"^(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})$"
#: what answers have besides and requests ignore, so that what was read may be sent back
_IGNORED = ("created_at", "updated_at")
_IGNORED_OF_PLAYBOOKS = (*_IGNORED, "created_by", "step_count", "next_run_at", "last_error", "problems")


@functools.cache
def playbook() -> Schema:
    """The schema of a playbook."""
    return {
        "$schema": _DIALECT,
        "title": "A playbook of Tocsin",
        "$ref": f"{_AT}Playbook",
        "$defs": {"Playbook": _playbook(), "Parameter": _parameter(), **steps.authored(_AT)},
    }


@functools.cache
def action() -> Schema:
    """The schema of an action, or of a file with a list of them."""
    reference = {"$ref": f"{_AT}Action"}
    return {
        "$schema": _DIALECT,
        "title": "An action of Tocsin, or a list of actions",
        "if": {"type": "array"},
        "then": {"items": reference},
        "else": reference,
        "$defs": {"Action": _action(), "Parameter": _parameter()},
    }


def _identity() -> dict[str, Schema]:
    most = fields.MAX_DESCRIPTION_CHARACTERS
    return {
        "id": {"type": ["string", "null"], "pattern": _ID, "description": "Made from the name unless given."},
        "name": line("What people call it."),
        "version": {"type": ["string", "null"], "pattern": _VERSION, "description": "It goes up by itself."},
        "description": nullable(text(most, "What it is for.")),
        "parameters": {
            "type": ["array", "null"],
            "maxItems": parameters.MAX_PARAMETERS,
            "items": {"$ref": f"{_AT}Parameter"},
            "description": "The parameters that it may be given.",
        },
        "tags": {
            "type": ["array", "null"],
            "maxItems": fields.MAX_TAGS,
            "items": {**line("A word."), "maxLength": fields.MAX_TAG_CHARACTERS},
            "description": "Words to search for.",
        },
        "enabled": nullable(flag("Whether it may be started.")),
    }


def _playbook() -> Schema:
    whole_form = _identity()
    list_of_steps = {"type": "array", "minItems": 1, "items": {"$ref": f"{_AT}StepDefinition"}}
    aliases = {alias: whole_form[name] for alias, name in step_types.TOP_ALIASES.items()}
    own: dict[str, Schema] = {
        "trigger": _trigger(),
        "steps": {**list_of_steps, "description": "Its steps, in order."},
        "on_failure": {
            "enum": [*step_types.STRATEGIES, None],
            "description": "What the failure of a step means for the run; abort unless said otherwise.",
        },
        "max_retries": nullable(whole(0, step_types.MAX_RETRIES, "With on_failure retry: how often in one run.")),
        "timeout_minutes": nullable(whole(1, step_types.MAX_TIMEOUT_MINUTES, "How long a run may take.")),
        "target_required": nullable(flag("Whether a run needs a target.")),
        "exception_step": {
            "type": ["string", "null"],
            "pattern": members.STEP_ID,
            "description": "Entered when a run would fail.",
        },
    }
    return {
        "type": "object",
        "properties": {**whole_form, **aliases, **own, **dict.fromkeys(_IGNORED_OF_PLAYBOOKS, True)},
        "required": ["name", "steps"],
        "additionalProperties": False,
    }


def _trigger() -> Schema:
    asked = {"type": "object", "minProperties": 1, "propertyNames": {"enum": list(OPERATORS)}}
    plain = {"type": ["string", "number", "boolean", "array", "null"]}
    event = {"type": "string", "maxLength": MAX_EVENT_CHARACTERS, "examples": list(EVENTS)}
    form = {
        "type": "object",
        "properties": {
            "event": {**event, "type": ["string", "null"], "description": "manual, schedule, or the name of an event."},
            "conditions": {
                "type": ["object", "null"],
                "maxProperties": MAX_CONDITIONS,
                "additionalProperties": {"anyOf": [plain, asked]},
                "description": "What the event must meet: member → value or operators.",
            },
            "cron": {"type": ["string", "null"], "description": "Of a schedule: its five fields."},
            "timezone": {"type": ["string", "null"], "description": "Of a schedule; UTC unless said otherwise."},
        },
        "additionalProperties": False,
    }
    return {"anyOf": [event, form, {"type": "null"}], "description": "What starts it; manual unless said otherwise."}


def _parameter() -> Schema:
    note = nullable(text(parameters.MAX_TEXT_CHARACTERS, "For people."))
    options = {"type": ["array", "null"], "minItems": 1, "maxItems": parameters.MAX_OPTIONS}
    return {
        "type": "object",
        "maxProperties": parameters.MAX_FIELDS,
        "properties": {
            "name": {
                "type": "string",
                "pattern": members.NAME,
                "not": {"enum": sorted(parameters.RESERVED)},
                "description": "By which name templates read it.",
            },
            "type": {
                "type": "string",
                "description": f"One of {', '.join(VALUE_TYPES)}; string unless said otherwise.",
            },
            "required": flag("Whether it must be given."),
            "default": {"description": "Its value where none is given."},
            "label": note,
            "description": note,
            "options": {**options, "description": "The values of an enum."},
            "validation": _validation(),
        },
        "required": ["name"],
    }


def _validation() -> Schema:
    number: Schema = {"type": ["number", "null"]}
    length: Schema = {"type": ["integer", "null"], "minimum": 0}
    return {
        "type": ["object", "null"],
        "properties": {
            "pattern": {"type": ["string", "null"], "description": "A regular expression for the whole value."},
            "min": number,
            "max": number,
            "min_length": length,
            "max_length": length,
            "length": {
                "type": ["object", "null"],
                "description": "min and max, in place of min_length and max_length.",
            },
            "options": {"description": "The values of an enum."},
        },
        "additionalProperties": False,
        "description": "What its values must meet.",
    }


def _action() -> Schema:
    by_name = {"enum": [*actions.EXECUTORS, None]}
    by_form = {
        "type": "object",
        "properties": {"type": {"enum": list(actions.EXECUTORS)}},
        "required": ["type"],
    }
    question: dict[str, Any] = {
        "properties": {"type": {"const": "approval"}, "config": {"type": ["object", "null"], "maxProperties": 0}},
        "required": ["type"],
    }
    own: dict[str, Schema] = {
        "type": {"enum": list(actions.TYPES), "description": "What kind of action it is."},
        "executor": {"anyOf": [by_name, by_form], "description": "Who carries it out."},
        "config": {"type": ["object", "null"], "description": "What the executor needs."},
        "timeout_seconds": nullable(whole(1, actions.MAX_TIMEOUT_SECONDS, "How long one attempt may take.")),
        "retry": nullable(members.retry()),
        "idempotent": nullable(flag("Whether repeating it in doubt does no harm.")),
        "conditions": {"description": "Stored and returned; has no effect."},
        "input_mapping": {"description": "Stored and returned; has no effect."},
        "output_mapping": {"description": "Stored and returned; has no effect."},
    }
    given = {"required": ["executor"], "properties": {"executor": {"not": {"type": "null"}}}}
    return {
        "type": "object",
        "properties": {**_identity(), **own, **dict.fromkeys(_IGNORED, True)},
        "required": ["name", "type"],
        "anyOf": [given, question],
        "additionalProperties": False,
    }
