"""Which parts of an action's config are secret, and how they travel: out of the definition, sealed, and back.

Executors name the secret places as dotted patterns (``headers.authorization``), compared without regard to case.
What a reader gets is masked, and what was read may be sent back: a mask keeps the secret that stands there, but only
as long as the action would send it to the same place in the same way. Otherwise whoever may change an action could
have its secrets shown, or delivered elsewhere.
"""

import copy
import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from config.errors import InvalidRequest, Problem
from store.actions import Revision
from store.seal import Cell, config_cell, parameters_cell, seal, unseal
from tasks.redact import MASK

Path = tuple[str, ...]

#: the name, which no parameter can have, of what is sealed beside the parameters
HANDED_ON = ""

#: keys of a config that say where and how an action sends
_PLACES = ("kind", "url", "target", "host", "port", "tls")
_MOVED = "where this secret would be sent has changed: give the secret again"
_NONE_KEPT = "this is the mask of a secret, and none is kept here: give the secret itself"


def take_out(config: dict[str, Any], patterns: tuple[str, ...]) -> tuple[dict[str, Any], dict[str, Any]]:
    """``config`` with its secrets masked, and the secrets by their path (``headers/Authorization``)."""
    masked, secrets = copy.deepcopy(config), {}
    wanted = {pattern.lower() for pattern in patterns}
    for path, value in list(_leaves(config, ())):
        if ".".join(path).lower() not in wanted or value in (None, ""):
            continue
        secrets["/".join(path)] = value
        _place(masked, path[:-1])[path[-1]] = MASK
    return masked, secrets


def sealed_config(
    workspace_id: str, revision_id: str, definition: Mapping[str, Any], hidden: dict[str, Any]
) -> str | None:
    """The secrets of a config in sealed form; ``definition`` is the one that is stored beside them, masked."""
    return seal(hidden, config_cell(workspace_id, revision_id, destination(definition))) if hidden else None


def opened_config(workspace_id: str, revision: Revision) -> dict[str, Any]:
    """The secrets of the config of a revision that belongs to this workspace, by path.

    Raises:
        SealBroken: they cannot be opened, or were sealed to be sent somewhere else.
    """
    if revision.sealed is None:
        return {}
    return unseal(revision.sealed, config_cell(workspace_id, revision.id, destination(revision.definition)))


def destination(definition: Mapping[str, Any]) -> str:
    """By what and where to an action sends, as its sealed secrets are bound to it.

    What a config does not name is left out, so that a place which becomes known later changes nothing that is stored.
    """
    config = definition["config"]
    places = {name: config[name] for name in _PLACES if name in config}
    return json.dumps([definition.get("executor"), places], sort_keys=True)


def hide(
    values: Mapping[str, Any], names: Collection[str], cell: Cell, secrets: Collection[str] = ()
) -> tuple[str, str | None]:
    """Parameters as they are stored: JSON with those of ``names`` masked, and these in sealed form for ``cell``.

    ``secrets`` are further texts to be sealed with them, under ``HANDED_ON``.
    """
    hidden = {name: value for name, value in values.items() if name in names and value is not None}
    masked = json.dumps({name: MASK if name in hidden else value for name, value in values.items()})
    return masked, seal({**hidden, HANDED_ON: list(secrets)} if secrets else hidden, cell)


def opened_parameters(row: Any) -> dict[str, Any]:
    """The secret parameters of an execution, by name, as ``hide`` has sealed them for its row.

    Raises:
        SealBroken: they cannot be opened, or belong to another execution.
    """
    if row.sealed is None:
        return {}
    return unseal(row.sealed, parameters_cell(row.workspace_id, row.id, row.revision_id))


def unmask(wanted: Mapping[str, Any], old: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """The wanted definition with its masks replaced by the secrets they stand for.

    ``old`` is the definition as it is kept (masked), ``known`` its secrets by path.

    Raises:
        InvalidRequest: a mask stands where no secret is kept, or the secret would go somewhere else.
    """
    config = wanted.get("config")
    if not isinstance(config, dict):
        return dict(wanted)
    masked = ["/".join(path) for path, value in _leaves(config, ()) if value == MASK]
    kept = {name.lower(): value for name, value in known.items()}
    moved = _destination(wanted, known) != _destination(old, known)
    problems = [
        Problem(f"/config/{name}", _MOVED if name.lower() in kept else _NONE_KEPT)
        for name in masked
        if moved or name.lower() not in kept
    ]
    if problems:
        raise InvalidRequest("A masked secret cannot be kept here.", code="secret_needed", problems=problems)
    return {**wanted, "config": put_back(config, {name: kept[name.lower()] for name in masked})}


def _destination(definition: Mapping[str, Any], known: Mapping[str, Any]) -> list[Any]:
    """By what and where to the action sends; a masked place counts as the secret that is kept there."""
    config = put_back(dict(definition["config"]), {})
    places = [known.get(name, config[name]) if config.get(name) == MASK else config.get(name) for name in _PLACES]
    return [definition.get("executor"), *places]


def put_back(config: dict[str, Any], secrets: dict[str, Any]) -> dict[str, Any]:
    """The config with its secrets in clear."""
    if not secrets:
        return config
    whole = copy.deepcopy(config)
    for name, value in secrets.items():
        path = tuple(name.split("/"))
        _place(whole, path[:-1])[path[-1]] = value
    return whole


def _leaves(value: dict[str, Any], path: Path) -> Iterator[tuple[Path, Any]]:
    for key, item in value.items():
        if isinstance(item, dict):
            yield from _leaves(item, (*path, key))
        else:
            yield (*path, key), item


def _place(config: dict[str, Any], path: Path) -> dict[str, Any]:
    for part in path:
        config = config.setdefault(part, {})
    return config
