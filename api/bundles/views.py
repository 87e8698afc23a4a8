"""Bundles as the API shows them."""

from typing import Any

from config import times
from store.bundles.versions import Kept, Version
from store.engine.db import Row
from tasks.bundles.functions import action_id


def bundle(kept: Kept, active: Version | None, valued: list[Row] | None = None) -> dict[str, Any]:
    """A bundle; without ``valued`` nothing is said of its functions and secrets."""
    shown = None if active is None else version(active, kept.active, valued)
    return {
        "name": kept.name,
        "active_version": kept.active,
        "created_at": times.stamp(kept.created_at),
        "updated_at": times.stamp(kept.updated_at),
        "active": shown,
    }


def version(one: Version, active: str | None, valued: list[Row] | None) -> dict[str, Any]:
    """A version of a bundle; ``valued`` are the secrets that have a value."""
    manifest = one.manifest
    about = {name: manifest[name] for name in ("description", "python", "hosts")}
    shown = {
        "name": one.name,
        "version": one.version,
        "digest": one.digest,
        "active": one.version == active,
        **about,
        "bytes": one.bytes,
        "created_at": times.stamp(one.created_at),
        "created_by": one.created_by,
    }
    if valued is None:
        return shown
    at = {row.name: times.stamp(row.updated_at) for row in valued}
    secrets = [
        {"name": name, **rule, "is_set": name in at, "updated_at": at.get(name)}
        for name, rule in sorted(manifest["secrets"].items())
    ]
    return {**shown, "secrets": secrets, "functions": [_function(one.name, each) for each in one.functions]}


def _function(name: str, function: dict[str, Any]) -> dict[str, Any]:
    file, line = function["place"]
    members = {member: function.get(member) for member in ("id", "description", "type", "output")}
    where = {"file": file, "line": line}
    return {
        "action_id": action_id(name, function["id"]),
        **members,
        "parameters": function["parameters"] or [],
        **where,
    }
