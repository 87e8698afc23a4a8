"""The identifiers and seals that Tocsin writes into CACAO documents.

An identifier is ``type--UUID``. Those of steps and playbooks are derived from what they name, so that they need no
storage and are the same in every export: 122 bits of SHA-256 in the form of a UUID of version 4.

Our own extension carries a seal that only this installation can make: a document from elsewhere may hold anything
there, and what a step shows must not differ from what it does.
"""

import hashlib
import hmac
import json
import uuid
from collections.abc import Mapping
from typing import Any, NamedTuple

from config.settings import TOCSIN_IDENTITY, settings

#: the extension that carries what CACAO has no property for
EXTENSION = "extension-definition--5c1f7a9e-3b52-4d0c-9a47-6e0d2f8b71c4"
DEFINITION = {
    "type": "extension-definition",
    "name": "Tocsin playbook",
    "description": "The playbook as Tocsin keeps it: what CACAO has no property for.",
    "created_by": TOCSIN_IDENTITY,
    "schema": "definition: the playbook as GET /api/playbooks/{id} shows it. digest: of the document without it.",
    "version": "1.0.0",
}


def identifier(kind: str, *names: str) -> str:
    """The identifier of the object of this type with these names."""
    digest = hashlib.sha256("\0".join((kind, *names)).encode(errors="surrogatepass")).digest()
    return f"{kind}--{uuid.UUID(bytes=digest[:16], version=4)}"


def canonical(value: Any) -> str:
    """A JSON value as text, the same for equal values."""
    return json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"))


def digest(value: Any) -> str:
    """The SHA-256 of a JSON value, the same for equal values."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def fingerprint(value: Any) -> str:
    """A keyed digest that only this installation can make.

    Without the key no guess at a secret in the value can be verified.
    """
    return _fingerprint(value, settings().secret_key)


def is_fingerprint(mark: Any, value: Any) -> bool:
    """Whether ``mark`` is the fingerprint of a value.

    Every key of this installation counts, the present and former ones.
    """
    return any(mark == _fingerprint(value, key) for key in settings().secret_keys)


def _fingerprint(value: Any, secret_key: str) -> str:
    key = hashlib.sha256(b"tocsin cacao\0" + secret_key.encode()).digest()
    return hmac.new(key, canonical(value).encode(), hashlib.sha256).hexdigest()


class Own(NamedTuple):
    """A step of a document as Tocsin knows it.

    ``foreign`` says that this installation did not write it.
    """

    step_id: str
    members: dict[str, Any]
    foreign: bool


#: type of a step in a document → the types it may have in Tocsin
_OURS: Mapping[str, tuple[str, ...]] = {
    "action": ("action", "approval", "delay"),
    "if-condition": ("condition",),
    "switch-condition": ("switch",),
    "parallel": ("parallel",),
    "while-condition": ("loop", "for_each"),
    "playbook-action": ("playbook",),
}
_LINKS = ("on_completion", "on_success", "on_failure", "on_true", "on_false", "next_steps", "cases")
#: members about a step's place in the workflow, and prose; all others say what it does
_PLACE = frozenset({"name", "description", "delay", "timeout", "step_extensions", *_LINKS})


def with_own(step: Mapping[str, Any], step_id: str, members: Mapping[str, Any]) -> dict[str, Any]:
    """A step with its Tocsin id and members sealed in our extension."""
    own = digest(_behaviour(step))
    ours = {"step_id": step_id, "step": dict(members), "digest": own, "seal": fingerprint([own, step_id, members])}
    return {**step, "step_extensions": {EXTENSION: ours}}


def own_of(step: Mapping[str, Any]) -> Own | None:
    """The id and members that Tocsin put into a step.

    None without these, or when what the step does was changed since.
    """
    extensions = step.get("step_extensions")
    ours = extensions.get(EXTENSION) if isinstance(extensions, dict) else None
    if not isinstance(ours, dict) or ours.get("digest") != digest(_behaviour(step)):
        return None
    step_id, members, kind = ours.get("step_id"), ours.get("step"), step.get("type")
    if not isinstance(step_id, str) or not isinstance(members, dict) or not isinstance(kind, str):
        return None
    if members.get("type") not in _OURS.get(kind, ()):
        return None
    foreign = not is_fingerprint(ours.get("seal"), [ours["digest"], step_id, members])
    return None if foreign and names_made_action(members) else Own(step_id, members, foreign)


def names_made_action(members: Mapping[str, Any]) -> bool:
    """Whether a step calls an action that an import made.

    Such an action's name has a meaning in this installation only.
    """
    return str(members.get("action_ref")).startswith(("cacao.webhook.", "cacao.script."))


def _behaviour(step: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in step.items() if key not in _PLACE}
