"""What a version of a bundle would change: hosts and secrets first, because they are what it may reach."""

from collections.abc import Mapping
from typing import Any

from config.types import Json
from store.bundles.versions import Version
from tasks.bundles.functions import action_id

_OWN = ("description", "type", "output", "timeout_seconds", "retry", "idempotent", "tags")


def between(old: Version | None, new: Version, valued: set[str]) -> Json:
    """The difference of two versions; ``valued`` are the secrets that have a value."""
    before: Mapping[str, Any] = old.manifest if old is not None else {"hosts": [], "secrets": {}}
    hosts, secrets = set(before["hosts"]), before["secrets"]
    wanted = new.manifest["secrets"]
    revealed = {name for name, rule in wanted.items() if rule["reveal"]}
    return {
        "before": None if old is None else old.version,
        "after": new.version,
        "hosts": _sets(hosts, set(new.manifest["hosts"])),
        "secrets": {
            **_sets(set(secrets), set(wanted)),
            "revealed": sorted(name for name in revealed if not secrets.get(name, {}).get("reveal")),
            "without_value": sorted(set(wanted) - valued),
        },
        "actions": _actions(old, new),
        "same_content": old is not None and old.digest == new.digest,
    }


def _sets(old: set[str], new: set[str]) -> Json:
    return {"added": sorted(new - old), "removed": sorted(old - new)}


def _actions(old: Version | None, new: Version) -> Json:
    before = {} if old is None else {one["id"]: one for one in old.functions}
    after = {one["id"]: one for one in new.functions}
    changed = [
        {"id": action_id(new.name, name), **difference}
        for name in sorted(before.keys() & after.keys())
        if (difference := _function(before[name], after[name]))
    ]
    sets = _sets(set(before), set(after))
    return {part: [action_id(new.name, name) for name in names] for part, names in sets.items()} | {"changed": changed}


def _function(old: Mapping[str, Any], new: Mapping[str, Any]) -> Json:
    """What of a function differs; empty where nothing does."""
    before = {one["name"]: one for one in old["parameters"] or []}
    after = {one["name"]: one for one in new["parameters"] or []}
    parameters = {
        **_sets(set(before), set(after)),
        "changed": sorted(name for name in before.keys() & after.keys() if before[name] != after[name]),
    }
    members = [member for member in _OWN if old.get(member) != new.get(member)]
    if not members and not any(parameters.values()):
        return {}
    return {"members": members, "parameters": parameters}
