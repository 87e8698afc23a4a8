"""Small CACAO documents for tests, written with short names that become identifiers."""

from typing import Any

from cacao.model.identity import identifier

NOW = "2026-11-23T00:00:00.000Z"
Json = dict[str, Any]


def sid(name: str) -> str:
    """The identifier that a short name such as ``action.block`` stands for."""
    kind, _, word = name.partition(".")
    return identifier(kind, "test", word)


def document(steps: Json, *, start: str = "start.s", **members: Any) -> Json:
    """A document with these steps: short name → properties with short links."""
    return {
        "type": "playbook",
        "spec_version": "cacao-2.0",
        "id": identifier("playbook", "test"),
        "name": "Test",
        "created_by": identifier("identity", "test"),
        "created": "2026-01-01T00:00:00.000Z",
        "modified": "2026-01-01T00:00:00.000Z",
        "workflow_start": sid(start),
        "workflow": {sid(name): {"type": name.partition(".")[0], **_linked(step)} for name, step in steps.items()},
        "agent_definitions": {sid("organization.us"): {"type": "organization", "name": "Us"}},
        **members,
    }


def manual(text: str = "Do it.", **links: Any) -> Json:
    """An action that a person carries out."""
    return {"commands": [{"type": "manual", "command": text}], "agent": sid("organization.us"), **links}


def http(line: str, target: str = "", **more: Any) -> Json:
    """An action that is a request."""
    links = {key: more.pop(key) for key in list(more) if key in _LINKS or key == "out_args"}
    return {
        "commands": [{"type": "http-api", "command": line, **more}],
        "agent": sid("organization.us"),
        **({"targets": [sid(target)]} if target else {}),
        **links,
    }


_LINKS = ("on_completion", "on_success", "on_failure", "on_true", "on_false")


def _linked(step: Json) -> Json:
    found = {key: sid(value) if key in _LINKS else value for key, value in step.items()}
    if "next_steps" in found:
        found["next_steps"] = [sid(one) for one in found["next_steps"]]
    if "cases" in found:
        found["cases"] = {case: sid(one) for case, one in found["cases"].items()}
    return found
