"""Upgrades documents of earlier CACAO drafts to version 2.0.

Versions 1.0 and 1.1 say so in ``spec_version``; the drafts of 2.0 (csd01, csd03) all call themselves ``cacao-2.0`` and
differ by the properties they use. ``upgraded`` renames what was renamed and reports it, once for each kind of change.
Members without a counterpart stay, for the check to report. A document of the present form comes back unchanged.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from cacao.model.findings import Finding
from config.types import Json
from playbooks.checks.faults import below

_PRESENT = "cacao-2.0"
#: versions of the standard before the present one
EARLIER = frozenset({"1.0", "1.1", "cacao-1.0", "cacao-1.1", "2.0"})
_VARIABLE = re.compile(r"\$\$([A-Za-z_][A-Za-z0-9_-]{0,199})\$\$")
_TYPES = {"single": "action", "playbook": "playbook-action"}
_COMMANDS = {"openc2-json": "openc2-http"}
_TOP = {"agents": "agent_definitions", "targets": "target_definitions", "features": None, "playbook_complexity": None}
_OBJECTS = {"agent_extensions": "agent_target_extensions", "target_extensions": "agent_target_extensions"}


class _Upgrade:
    def __init__(self) -> None:
        self.found: dict[str, Finding] = {}

    def say(self, code: str, pointer: str, message: str) -> None:
        """Note a change; of each kind the first is reported."""
        self.found.setdefault(code, Finding(f"draft_{code}", pointer, message, error=False))


def upgraded(document: Mapping[str, Any]) -> tuple[Json, list[Finding]]:
    """The document in the present form, and the changes it took."""
    upgrade = _Upgrade()
    present = dict(document)
    given = present.get("spec_version")
    if isinstance(given, str) and given in EARLIER:
        upgrade.say("version", "/spec_version", f"The document is of version {given} and is read as {_PRESENT}.")
        present["spec_version"] = _PRESENT
        present = _with_new_variables(present, upgrade)
    is_draft = bool(upgrade.found) or any(old in present for old, new in _TOP.items() if new is not None)
    for old, new in _TOP.items():
        # in a document of the present form a member of that name is its author's own
        if old in present and isinstance(present[old], dict | list) and (is_draft or new is not None):
            _rename(present, old, new, "", upgrade)
    for members in ("agent_definitions", "target_definitions"):
        if isinstance(present.get(members), dict):
            present[members] = {
                key: _object(one, below(below("", members), key), upgrade) for key, one in present[members].items()
            }
    if isinstance(present.get("workflow"), dict):
        present["workflow"] = {
            key: _step(one, below("/workflow", key), upgrade) for key, one in present["workflow"].items()
        }
    if upgrade.found and "signatures" in present:
        upgrade.say("signatures", "/signatures", "The signatures were made over the draft; they are left out.")
        del present["signatures"]
    return (present if upgrade.found else dict(document)), list(upgrade.found.values())


def _rename(of: Json, old: str, new: str | None, pointer: str, upgrade: _Upgrade) -> None:
    value = of.pop(old)
    if new is None:
        upgrade.say(old, below(pointer, old), f"'{old}' has gone from the standard and is left out.")
        return
    upgrade.say(old, below(pointer, old), f"'{old}' is called '{new}' now.")
    if new not in of:
        of[new] = value
    elif isinstance(value, dict) and isinstance(of[new], dict):
        of[new] = {**value, **of[new]}


def _object(one: Any, pointer: str, upgrade: _Upgrade) -> Any:
    """An agent or a target."""
    if not isinstance(one, dict):
        return one
    found = dict(one)
    for old, new in _OBJECTS.items():
        if old in found:
            _rename(found, old, new, pointer, upgrade)
    for old, kind in (("http_url", "url"),):
        if isinstance(found.get(old), str) and "address" not in found:
            upgrade.say(old, below(pointer, old), f"'{old}' is an address of kind '{kind}' now.")
            found["address"] = {kind: [found.pop(old)]}
    return found


def _step(step: Any, pointer: str, upgrade: _Upgrade) -> Any:
    if not isinstance(step, dict):
        return step
    found = dict(step)
    kind = found.get("type")
    if isinstance(kind, str) and kind in _TYPES:
        upgrade.say(kind, below(pointer, "type"), f"A step of type '{kind}' is called '{_TYPES[kind]}' now.")
        found["type"] = _TYPES[kind]
    for old, new in (("target_ids", "targets"), ("target", "targets")):
        if old in found and "targets" not in found:
            value = found[old]
            _rename(found, old, new, pointer, upgrade)
            found[new] = value if isinstance(value, list) else [value]
    if isinstance(found.get("commands"), list):
        found["commands"] = [
            _command(one, f"{pointer}/commands/{number}", upgrade) for number, one in enumerate(found["commands"])
        ]
    return found


def _command(command: Any, pointer: str, upgrade: _Upgrade) -> Any:
    kind = command.get("type") if isinstance(command, dict) else None
    if not isinstance(kind, str) or kind not in _COMMANDS:
        return command
    upgrade.say(kind, f"{pointer}/type", f"A command of type '{kind}' is called '{_COMMANDS[kind]}' now.")
    return {**command, "type": _COMMANDS[kind]}


def _with_new_variables(value: Any, upgrade: _Upgrade) -> Any:
    """``$$name$$`` as ``__name__``, in keys and texts."""

    def say() -> None:
        upgrade.say("variables", "", "Variables are written __name__ now, not $$name$$.")

    return _mapped(value, lambda text: _VARIABLE.sub(r"__\1__", text), say)


def _mapped(value: Any, change: Callable[[str], str], say: Callable[[], None]) -> Any:
    """The value with every text and key changed.

    Recurses as deep as a request body may be nested.
    """
    if isinstance(value, dict):
        return {_mapped(key, change, say): _mapped(one, change, say) for key, one in value.items()}
    if isinstance(value, list):
        return [_mapped(one, change, say) for one in value]
    if not isinstance(value, str):
        return value
    changed = change(value)
    if changed != value:
        say()
    return changed
