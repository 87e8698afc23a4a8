"""What is kept of a dispatch that made no execution, next to its payload: enough to send it again.

Like the payload it is redacted. ``masked`` says that a mask stands for something in either: then the rest is no longer
what was sent. A text that looks like a mask and came so from the sender is none.
"""

import json
from collections.abc import Mapping
from typing import Any

from config.types import Json
from gateway.redacted import redacted
from gateway.requests import Dispatch
from playbooks.credentials import MASK

_NAMES = ("labels", "status", "fingerprint", "dedup_key", "starts_at", "ends_at")
_MASKED = "masked"


def of(dispatch: Dispatch, payload: Mapping[str, Any]) -> Json:
    """The members to keep of a dispatch whose ``payload`` is kept so."""
    said = {name: value for name in _NAMES if (value := getattr(dispatch, name))}
    kept: Json = {name: redacted(value) for name, value in said.items()}
    return {**kept, _MASKED: True} if kept != said or _is_masked(payload, dispatch.payload) else kept


def _is_masked(kept: Mapping[str, Any], sent: Mapping[str, Any]) -> bool:
    """Whether a payload lacks what was sent: rules may have changed it, too, and that is no mask."""
    return kept != sent and has_mask(kept)


def has_mask(value: Any) -> bool:
    """Whether a mask is anywhere in a value."""
    return MASK in json.dumps(value, ensure_ascii=False)


def is_masked(members: Mapping[str, Any]) -> bool:
    """Whether a mask stands for something in what is kept."""
    return bool(members.get(_MASKED))


def read(members: Mapping[str, Any]) -> Json:
    """The members of the dispatch among those that are kept."""
    return {name: members[name] for name in _NAMES if name in members}
