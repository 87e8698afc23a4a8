"""The kinds of providers: what each needs, and the action that it becomes.

A provider is a named way out. Its definition has the shape of an action, so that everything that carries out actions
carries out dispatches too: the parameters are the members of a dispatch, and the kind decides executor and config.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from config.types import Json

#: the members of a dispatch, under which templates of a provider find them
PARAMETERS: tuple[Json, ...] = (
    {"name": "payload", "type": "object", "required": True},
    {"name": "action_type", "type": "string", "required": True},
    {"name": "namespace", "type": "string"},
    {"name": "tenant", "type": "string"},
    {"name": "labels", "type": "object", "default": {}},
    {"name": "id", "type": "string"},
    {"name": "status", "type": "string"},
    {"name": "fingerprint", "type": "string"},
    {"name": "dedup_key", "type": "string"},
    {"name": "starts_at", "type": "string"},
    {"name": "ends_at", "type": "string"},
)

_TEXT = "{{ payload.text | default(payload.message) | default(payload.body) | default(payload | json) }}"
_BODY = "{{ payload.body | default(payload.message) | default(payload.text) | default(payload | json) }}"
_BODILESS = ("GET", "HEAD", "DELETE")
BEHAVIOURS = ("ok", "fail", "slow", "answer")
LEVELS = ("debug", "info", "warning", "error")


@dataclass(frozen=True)
class Kind:
    """One kind: its members, and the executor and config that an entry becomes.

    ``secrets`` are members that always are a credential, ``rules`` says what is wrong with a member.
    """

    executor: str
    type: str
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    config: Callable[[Json], Json] = dict
    rules: Mapping[str, Callable[[Any], str | None]] = field(default_factory=dict)
    #: whether a call may be repeated when it is not known whether it took effect
    idempotent: bool = True

    @property
    def members(self) -> tuple[str, ...]:
        """All members of its own."""
        return self.required + self.optional


def _http(given: Json) -> Json:
    config = dict(given)
    bodiless = str(given.get("method", "POST")).upper() in _BODILESS
    if not bodiless and "body" not in given and "body_template" not in given:
        config["body"] = "{{ payload }}"
    return config


def _email(given: Json) -> Json:
    defaults = {"to": "{{ payload.to }}", "subject": "{{ payload.subject | default(action_type) }}", "body": _BODY}
    return {"kind": "email", **defaults, **given}


def _slack(given: Json) -> Json:
    return {"kind": "slack", "text": _TEXT, **given}


def _pagerduty(given: Json) -> Json:
    defaults: Json = {
        "summary": "{{ payload.summary | default(payload.message) | default(action_type) }}",
        "severity": "{{ payload.severity | default('error') }}",
    }
    if given.get("event_action", "trigger") == "trigger":
        defaults["custom_details"] = "{{ payload }}"
    return {"kind": "pagerduty", **defaults, **given}


def _teams(given: Json) -> Json:
    """A message for a Teams workflow: an adaptive card."""
    blocks = [{"type": "TextBlock", "text": given.get("text", _TEXT), "wrap": True}]
    if "title" in given:
        blocks.insert(0, {"type": "TextBlock", "text": given["title"], "weight": "Bolder", "wrap": True})
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": blocks,
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
    return {"url": given["url"], "body": {"type": "message", "attachments": [attachment]}}


def _apprise(given: Json) -> Json:
    defaults = {"title": "{{ payload.title | default(payload.subject) | default(action_type) }}", "body": _BODY}
    return {**defaults, "type": "{{ payload.type | default('info') }}", **given}


def _id(value: Any) -> str | None:
    return None if isinstance(value, str) and value else "must be an id, as text"


def _word(words: tuple[str, ...]) -> Callable[[Any], str | None]:
    return lambda value: None if value in words else f"must be one of {', '.join(words)}"


def _count(value: Any) -> str | None:
    whole = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 1_000_000  # noqa: PLR2004
    return None if whole else "must be a whole number from 1 to 1000000"


def _seconds(value: Any) -> str | None:
    number = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 3600  # noqa: PLR2004
    return None if number else "must be more than 0 and at most 3600 seconds"


def _mock(given: Json) -> Json:
    return {"behaviour": "ok", **given}


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "http": Kind(
            "webhook", "webhook", ("url",), ("method", "headers", "secret_headers", "body", "body_template"), (), _http
        ),
        "email": Kind(
            "notification",
            "notification",
            ("host", "from"),
            ("port", "username", "password", "tls", "to", "subject", "body"),
            ("password",),
            _email,
            idempotent=False,
        ),
        "slack": Kind(
            "notification",
            "notification",
            ("url",),
            ("text", "channel", "username"),
            ("url",),
            _slack,
            idempotent=False,
        ),
        "pagerduty": Kind(
            "notification",
            "notification",
            ("routing_key",),
            ("event_action", "summary", "source", "severity", "dedup_key", "custom_details", "url"),
            ("routing_key",),
            _pagerduty,
        ),
        "teams": Kind("webhook", "notification", ("url",), ("text", "title"), ("url",), _teams, idempotent=False),
        "apprise": Kind(
            "apprise",
            "notification",
            ("url",),
            ("title", "body", "type"),
            ("url",),
            _apprise,
            idempotent=False,
        ),
        "script": Kind("local", "script", ("interpreter", "script")),
        "action": Kind("action", "remediation", ("action",), rules={"action": _id}),
        "playbook": Kind("playbook", "remediation", ("playbook",), rules={"playbook": _id}),
        "log": Kind("log", "notification", (), ("level", "message"), rules={"level": _word(LEVELS)}),
        "mock": Kind(
            "mock",
            "webhook",
            (),
            ("behaviour", "first", "every", "seconds", "answer"),
            (),
            _mock,
            rules={
                "behaviour": _word(BEHAVIOURS),
                "first": _count,
                "every": _count,
                "seconds": _seconds,
                "answer": lambda value: None if isinstance(value, dict) else "must be an object: what it answers",
            },
        ),
    }
)
#: other spelling → kind
ALIASES = {"webhook": "http", "smtp": "email"}
#: executors that carry out providers and no actions of the catalogue
EXECUTORS = ("action", "playbook", "log", "mock", "apprise")
#: those of them that check a config by themselves
CHECKING = ("log", "apprise")
