"""The JSON Schema of each member of a step, by the same limits as its checks in ``playbooks.checks.steps``."""

from collections.abc import Mapping
from typing import Any

from playbooks.definitions import asking, fields
from playbooks.definitions.parameter_values import MAX_STRING_CHARACTERS
from playbooks.definitions.step_types import (
    LINK_WORDS,
    LINKS,
    MAX_APPROVERS,
    MAX_BRANCHES,
    MAX_CASES,
    MAX_CONCURRENCY,
    MAX_ITEMS,
    MAX_ITERATIONS,
    MAX_OUTPUTS,
    MAX_WAIT_SECONDS,
    RESERVED_NAMES,
)

Schema = dict[str, Any]

STEP_ID = "^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$"
NAME = "^[A-Za-z_][A-Za-z0-9_]{0,63}$"
#: text that is not only blanks
_VISIBLE = r"\S"
#: what makes a text a template
_MARKUP = r"\{[{%#]"
#: as ``durations`` reads them: 90, 5m, 1h30m, PT5M
_NUMBER = r"\d{1,9}(\.\d{1,6})?"
_SHORT = "".join(rf"({_NUMBER}\s*[{unit}{unit.upper()}]\s*)?" for unit in "dhms")
_ISO = f"[pP]({_NUMBER}[dD])?([tT]({_NUMBER}[hH])?({_NUMBER}[mM])?({_NUMBER}[sS])?)?"
DURATION = rf"^\s*({_NUMBER}|{_SHORT}|{_ISO})\s*$"


def line(description: str) -> Schema:
    """One line of visible text."""
    most = fields.MAX_NAME_CHARACTERS
    return {"type": "string", "minLength": 1, "maxLength": most, "pattern": _VISIBLE, "description": description}


def text(most: int, description: str) -> Schema:
    """A text of at most ``most`` characters."""
    return {"type": "string", "maxLength": most, "description": description}


def whole(least: int, most: int, description: str) -> Schema:
    """A whole number within bounds."""
    return {"type": "integer", "minimum": least, "maximum": most, "description": description}


def flag(description: str) -> Schema:
    """True or false."""
    return {"type": "boolean", "description": description}


def retry() -> Schema:
    """What happens after a temporary failure."""
    return {
        "type": "object",
        "description": "What happens after a temporary failure.",
        "properties": {
            "max_attempts": whole(1, fields.MAX_ATTEMPTS, "Attempts in all."),
            "backoff_seconds": {
                "type": "number",
                "minimum": 0,
                "maximum": fields.MAX_BACKOFF_SECONDS,
                "description": "The pause before the first retry; it doubles each time.",
            },
            "jitter": flag("Whether pauses vary by a fifth."),
        },
        "additionalProperties": False,
    }


def _wait(description: str) -> Schema:
    return {"type": "number", "minimum": 0, "maximum": MAX_WAIT_SECONDS, "description": description}


def _duration(description: str) -> Schema:
    number = {"type": "number", "minimum": 0, "maximum": MAX_WAIT_SECONDS}
    words = {"type": "string", "pattern": DURATION, "examples": ["30s", "5m", "PT1H"]}
    return {"anyOf": [number, words], "description": description}


def _condition(description: str) -> Schema:
    return {"type": "string", "pattern": _VISIBLE, "description": description}


def _reference(description: str) -> Schema:
    return {"type": "string", "minLength": 1, "not": {"type": "string", "pattern": _MARKUP}, "description": description}


def _link(member: str, description: str) -> Schema:
    words = LINKS[member]
    astray = sorted(LINK_WORDS - set(words))
    return {
        "type": "string",
        "pattern": STEP_ID,
        "not": {"enum": astray},
        "examples": list(words),
        "description": f"{description}: the id of a step of this list, {', '.join(words[:-1])} or {words[-1]}.",
    }


def _people(description: str) -> Schema:
    return {"type": "array", "maxItems": MAX_APPROVERS, "items": line("One of them."), "description": description}


def _values(description: str) -> Schema:
    return {"type": "object", "description": description}


_OWN: Mapping[str, Schema] = {
    "name": line("What people call it; its id unless said otherwise."),
    "description": text(fields.MAX_DESCRIPTION_CHARACTERS, "What it is for."),
    "when": _condition("A condition; the step is skipped where it does not hold."),
    "continue_on_error": flag("Whether the run goes on after its failure."),
    "on_success": _link("on_success", "What follows"),
    "on_failure": _link("on_failure", "What follows its failure"),
    "on_true": _link("on_true", "What follows where the expression holds"),
    "on_false": _link("on_false", "What follows where it does not"),
    "default": _link("default", "What follows where no case fits"),
    "on_timeout": _link("on_timeout", "What follows when the time for a decision is up"),
    "action_ref": _reference("The id of the action that it carries out."),
    "playbook_ref": _reference("The id of the playbook that it runs."),
    "parameters": _values("Values for the parameters, which may be templates."),
    "target": text(MAX_STRING_CHARACTERS, "The asset it is about; it may be a template."),
    "message": text(MAX_STRING_CHARACTERS, "What is asked; it may be a template."),
    "delay_seconds": _wait("How long to wait before it, up to 30 days."),
    "interval_seconds": _wait("How long to wait between two iterations, up to 30 days."),
    "timeout_seconds": whole(1, MAX_WAIT_SECONDS, "How long it may take, up to 30 days."),
    "retry": retry(),
    "outputs": {
        "type": "object",
        "maxProperties": MAX_OUTPUTS,
        "propertyNames": {"pattern": NAME},
        "description": "Name → template; later steps read it as vars.name.",
    },
    "expression": _condition("A condition, or for a switch what is compared with the cases."),
    "while": _condition("The condition on which there is another iteration."),
    "cases": {
        "type": "object",
        "minProperties": 1,
        "maxProperties": MAX_CASES,
        "additionalProperties": _link("default", "What follows"),
        "description": "Value of the expression → the step that follows.",
    },
    "seconds": _duration("How long to wait: seconds, or a duration such as 5m."),
    "max_iterations": whole(1, MAX_ITERATIONS, "How many iterations there may be."),
    "items": {
        "anyOf": [{"type": "array", "maxItems": MAX_ITEMS}, {"type": "string", "pattern": _MARKUP}],
        "description": "A list, or a template that gives one.",
    },
    "as": {
        "type": "string",
        "pattern": NAME,
        "not": {"enum": sorted({*RESERVED_NAMES, "index"})},
        "description": "By which name templates read the item; item unless said otherwise.",
    },
    "max_concurrency": whole(1, MAX_CONCURRENCY, "How many items are worked on at once."),
    "approvers": _people("Who may decide: ids or names of keys, or roles such as role:admin."),
    "audience": _people("The people that the question is for, by name."),
    "not_by_starter": flag("Whether the starter of the run may not decide."),
    "quorum": whole(1, asking.MOST_VOTERS, "How many votes approve it; 1 unless said otherwise."),
    "reject_quorum": whole(1, asking.MOST_VOTERS, "How many votes reject it; 1 unless said otherwise."),
    "notify": line("The provider by which the question goes out, with links that decide."),
    "reminder_seconds": whole(asking.MIN_REMINDER, asking.MAX_SECONDS, "How often that is repeated."),
}
#: members that only an author's form has
_SPELLINGS: Mapping[str, Schema] = {
    "timeout_minutes": {
        "type": "number",
        "exclusiveMinimum": 0,
        "maximum": MAX_WAIT_SECONDS / 60,
        "description": "How long it may take, in minutes.",
    },
}


def member(name: str, spelling: str, steps: Schema) -> Schema:
    """The schema of a member, by one of its spellings; ``steps`` is that of a list of steps."""
    if name == "steps":
        return {**steps, "description": "The steps inside it, in order."}
    if name == "branches":
        return _branches(steps)
    if spelling == "delay_seconds" and name == "seconds":
        return _OWN["seconds"]
    return _SPELLINGS.get(spelling, _OWN[name])


def _branches(steps: Schema) -> Schema:
    whole_form = {
        "type": "object",
        "properties": {
            "name": nullable(line("What people call it.")),
            "steps": steps,
            "on_failure": {
                "enum": ["abort", "continue", None],
                "description": "What the failure of one of its steps means for the others.",
            },
        },
        "required": ["steps"],
        "additionalProperties": False,
    }
    return {
        "type": "array",
        "minItems": 1,
        "maxItems": MAX_BRANCHES,
        "items": {"anyOf": [steps, whole_form]},
        "description": "What runs in parallel: each branch is a list of steps, or an object with its steps.",
    }


def nullable(schema: Schema) -> Schema:
    """The same, where null counts as absent."""
    if isinstance(schema.get("type"), str):
        return {**schema, "type": [schema["type"], "null"]}
    if "anyOf" in schema:
        return {**schema, "anyOf": [*schema["anyOf"], {"type": "null"}]}
    return schema
