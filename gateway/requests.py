"""A dispatch as a caller sends it: read from its body, with every fault named.

``metadata`` has the labels either flat or under ``labels``. ``id`` and ``created_at`` are the sender's own.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from config.errors import Problem
from config.pointers import step
from config.types import Json
from expressions.suggestions import did_you_mean
from expressions.values import is_encodable
from playbooks.definitions.fields import MAX_NAME_CHARACTERS, is_line
from playbooks.definitions.parameters import MAX_NAMED

MAX_ITEMS = 1_000
MAX_PAYLOAD_BYTES = 1024 * 1024
MAX_PAYLOAD_DEPTH = 32
MAX_LABELS = 100
MAX_TEXT_CHARACTERS = 1024

_NAMES = ("namespace", "tenant", "provider", "action_type")
_REQUIRED = (*_NAMES, "payload")
_TEXTS = ("dedup_key", "fingerprint")
_LINES = ("id", "status")
_TIMES = ("starts_at", "ends_at", "created_at")
MEMBERS = (*_REQUIRED, "metadata", *_TEXTS, *_LINES, *_TIMES)
#: members that existing clients may send, and why they are refused
_REFUSED = {
    "template": "templates belong to a provider, which renders its own",
    "attachments": "attachments are not taken: put a link into the payload",
    "signature": "signed requests are not checked here: the API key says who sends",
    "labels": 'labels go into metadata: {"metadata": {"team": "soc"}}',
    "dry_run": "put it into the query: ?dry_run=true",
    "kid": "signed requests are not checked here: the API key says who sends",
}
#: other words for members
_OTHER_WORDS = {
    **dict.fromkeys(("type", "action", "kind"), "action_type"),
    **dict.fromkeys(("channel", "executor"), "provider"),
    **dict.fromkeys(("body", "data", "parameters", "params"), "payload"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatch:
    """What is to go out, by which provider and for which tenant."""

    namespace: str
    tenant: str
    provider: str
    action_type: str
    payload: Json
    labels: Mapping[str, str] = field(default_factory=dict)
    id: str | None = None
    status: str | None = None
    fingerprint: str | None = None
    dedup_key: str | None = None
    starts_at: str | None = None
    ends_at: str | None = None

    def members(self) -> Json:
        """The members that it has.

        An execution stores them, and rules see them.
        """
        found = {name: value for name in _STORED if (value := getattr(self, name)) is not None and value != {}}
        found["payload"] = self.payload  # it may be empty
        return found


_STORED = (*_NAMES, "payload", "labels", "id", "status", "fingerprint", "dedup_key", "starts_at", "ends_at")


def read(given: Any) -> tuple[Dispatch | None, list[Problem]]:
    """The dispatch of a body, or all its faults."""
    if not isinstance(given, dict):
        return None, [Problem("", "must be an object with namespace, tenant, provider, action_type and payload")]
    problems = _unknown(given)
    problems += [Problem(step(name), "is required") for name in _REQUIRED if given.get(name) is None]
    problems += [
        Problem(step(name), f"must be text of 1 to {MAX_NAME_CHARACTERS} printable characters")
        for name in (*_NAMES, *_LINES)
        if given.get(name) is not None and not is_line(given[name], MAX_NAME_CHARACTERS)
    ]
    problems += [
        Problem(step(name), f"must be text of 1 to {MAX_TEXT_CHARACTERS} printable characters")
        for name in _TEXTS
        if given.get(name) is not None and not is_line(given[name], MAX_TEXT_CHARACTERS)
    ]
    if given.get("payload") is not None and (fault := payload_fault(given["payload"])):
        problems.append(Problem("/payload", fault))
    labels, faults = read_labels(given.get("metadata"))
    problems += faults + _time_faults(given)
    if problems:
        return None, problems
    named: dict[str, Any] = {name: given.get(name) for name in _STORED if name != "labels"}
    return Dispatch(**named, labels=labels), []


def _unknown(given: Mapping[str, Any]) -> list[Problem]:
    unknown = [str(name) for name in given if name not in MEMBERS]
    problems = [
        Problem(
            step(name),
            _REFUSED.get(name)
            or f"'{name[:64]}' is no member of a dispatch{did_you_mean(name[:64], MEMBERS, synonyms=_OTHER_WORDS)}",
        )
        for name in unknown[:MAX_NAMED]
    ]
    more = len(unknown) - len(problems)
    return problems + ([Problem("", f"and {more} more that are unknown")] if more else [])


def payload_fault(payload: Any) -> str | None:
    """Why something is no payload, or None."""
    if not isinstance(payload, dict):
        return "must be an object"
    level: list[Any] = [payload]
    for _ in range(MAX_PAYLOAD_DEPTH):
        level = [
            item
            for parent in level
            for item in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(item, dict | list)
        ]
        if not level:
            return None
    return f"must not be nested more than {MAX_PAYLOAD_DEPTH} deep"


def is_too_large(payload: Json) -> bool:
    """Whether a payload has more than ``MAX_PAYLOAD_BYTES``.

    It costs time, and is asked only where the whole body has more.
    """
    return len(json.dumps(payload, ensure_ascii=False).encode(errors="replace")) > MAX_PAYLOAD_BYTES


def read_labels(metadata: Any) -> tuple[dict[str, str], list[Problem]]:
    """The labels in ``metadata``, flat or under ``labels``, and their faults."""
    if metadata is None:
        return {}, []
    if not isinstance(metadata, dict):
        return {}, [Problem("/metadata", "must be an object with labels")]
    labels, place = metadata, "/metadata"
    if isinstance(metadata.get("labels"), list):
        return {}, [Problem("/metadata/labels", "labels must be an object of names and texts")]
    if isinstance(metadata.get("labels"), dict):
        labels, place = metadata["labels"], "/metadata/labels"
        others = [str(name) for name in metadata if name != "labels"]
        if others:
            return {}, [
                Problem(f"/metadata{step(name)}", "put labels either into metadata or into metadata.labels, not both")
                for name in others[:MAX_NAMED]
            ]
    if len(labels) > MAX_LABELS:
        return {}, [Problem(place, f"at most {MAX_LABELS} labels are kept")]
    problems = []
    for name, value in labels.items():
        if not is_line(name, MAX_NAME_CHARACTERS):
            detail = f"a label's name has 1 to {MAX_NAME_CHARACTERS} printable characters"
            problems.append(Problem(place + step(str(name)[:64]), detail))
        elif not isinstance(value, str) or len(value) > MAX_TEXT_CHARACTERS or not is_encodable(value):
            detail = f"a label must be text of at most {MAX_TEXT_CHARACTERS} characters"
            problems.append(Problem(place + step(name), detail))
    return dict(labels), problems


def _time_faults(given: Mapping[str, Any]) -> list[Problem]:
    problems, moments = [], {}
    for name in _TIMES:
        value = given.get(name)
        if value is None:
            continue
        moments[name] = moment(value)
        if moments[name] is None:
            problems.append(Problem(step(name), "must be a time with its zone, as in 2026-04-28T09:00:00Z"))
    starts, ends = moments.get("starts_at"), moments.get("ends_at")
    if starts is not None and ends is not None and ends < starts:
        problems.append(Problem("/ends_at", "lies before starts_at"))
    return problems


def moment(value: Any) -> datetime | None:
    """The time that a text names; None for anything else."""
    if not isinstance(value, str) or len(value) > 64:  # noqa: PLR2004 - no time is as long
        return None
    try:
        found = datetime.fromisoformat(value)
        return None if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
