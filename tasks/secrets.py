"""Which parts of an action's config are secret, and how they travel: out of the definition, sealed, and back.

Executors name the secret places as dotted patterns (``headers.authorization``), compared without regard to case.
"""

import copy
from collections.abc import Iterator
from typing import Any

from tasks.redact import MASK

Path = tuple[str, ...]


def take_out(
    config: dict[str, Any], patterns: tuple[str, ...], known: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """``config`` with its secrets masked, and the secrets by their path (``headers/Authorization``).

    A place that holds the mask keeps the value it has in ``known``: what a client reads it may send back.
    """
    masked, secrets = copy.deepcopy(config), {}
    wanted = {pattern.lower() for pattern in patterns}
    for path, value in list(_leaves(config, ())):
        if ".".join(path).lower() not in wanted or value in (None, ""):
            continue
        name = "/".join(path)
        secrets[name] = known.get(name, value) if value == MASK else value
        _place(masked, path[:-1])[path[-1]] = MASK
    return masked, secrets


def unmask(config: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    """``config`` with every mask that stands at a known place replaced by the secret it stands for."""
    masked = {"/".join(path) for path, value in _leaves(config, ()) if value == MASK}
    return put_back(config, {name: value for name, value in known.items() if name in masked})


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
