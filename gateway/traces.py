"""The trace context of a request (W3C): read, and continued by a child for each thing that is done.

What is malformed is ignored, as the specification says: a receiver never refuses a request for its trace.
"""

import random
import re
from collections.abc import Mapping

_PARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_VERSION, _FORBIDDEN = "00", "ff"
MAX_STATE_CHARACTERS = 512
_MEMBER = re.compile(r"[a-z0-9][a-z0-9_\-*/@]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]")
_MOST_MEMBERS = 32


def read(parent: str | None, state: str | None) -> dict[str, str]:
    """The trace context of two headers; empty without a sound ``traceparent``."""
    found = _PARENT.fullmatch((parent or "").strip())
    if found is None:
        return {}
    version, trace, span, flags, more = found.groups()
    if version == _FORBIDDEN or not int(trace, 16) or not int(span, 16) or (version == _VERSION and more):
        return {}
    context = {"traceparent": f"{_VERSION}-{trace}-{span}-{flags}"}
    if kept := _state(state):
        context["tracestate"] = kept
    return context


def child(context: Mapping[str, str]) -> dict[str, str]:
    """The context of a part: the same trace, a span of its own."""
    if not context:
        return {}
    version, trace, _, flags = context["traceparent"].split("-")
    span = f"{random.randrange(1, 1 << 64):016x}"  # noqa: S311 - names a span, hides nothing
    return {**context, "traceparent": f"{version}-{trace}-{span}-{flags}"}


def trace_id(context: Mapping[str, str]) -> str | None:
    """The id of the trace, for log lines."""
    return context["traceparent"].split("-")[1] if context else None


def _state(text: str | None) -> str:
    members = [member.strip() for member in (text or "").split(",")]
    members = [member for member in members if member]
    keys = [member.partition("=")[0] for member in members]
    sound = all(map(_MEMBER.fullmatch, members)) and len(set(keys)) == len(keys) and len(members) <= _MOST_MEMBERS
    joined = ",".join(members)
    return joined if sound and len(joined) <= MAX_STATE_CHARACTERS else ""
