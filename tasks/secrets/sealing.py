"""Extract the secrets of an action's config, seal them, and restore them.

Secret are the members that the executor names by patterns (``routing_key``), whatever their case; values named or
written like a credential (``playbooks.credentials``); the headers that ``config.secret_headers`` names; and values that
the author writes as ``{"secret": value}``. In a text that contains credentials among other things, such as a URL, only
the credentials are masked.

A reader gets a masked definition, and may send it back: a mask keeps the secret in its place, but only as long as the
action sends it to the same place in the same way, and sealed values stay sealed. Otherwise a caller who may change an
action could have its secrets shown, or delivered elsewhere.
"""

import copy
import json
import re
from collections import deque
from collections.abc import Collection, Mapping
from itertools import islice
from typing import Any
from urllib.parse import unquote

from config.errors import InvalidRequest, Problem
from config.pointers import escape, unescape
from expressions.template_syntax import has_markup
from playbooks.credentials import is_secret_header, is_secret_member, is_template, looks_random, replaced, spans
from store.definitions.actions import Revision
from store.sealing.seal import Cell, config_cell, parameters_cell, seal, unseal
from tasks.secrets.redact import MASK, masked, texts

Path = tuple[str, ...]

#: the name under which further secrets are sealed with the parameters; no parameter can have it
HANDED_ON = ""
#: the only member of the object by which an author has a value sealed
WRAPPER = "secret"
_WRAPPED_MASK = {WRAPPER: MASK}
_NOTHING = (None, "", MASK)

#: keys of a config that say where and how an action sends; its sealed secrets are bound to them
_PLACES = ("kind", "url", "target", "host", "port", "tls")
#: the same for programs that run here
_PROGRAMS = ("handler", "interpreter", "script")
#: keys of a config whose text is a body
_BODIES = ("body", "body_template")
#: a text with more credentials than this is masked as a whole, and so are all texts after this many places
_MOST_PARTS, _MOST_PLACES = 50, 500
_MOST_DOUBTS = 50
#: characters before a mask by which it is recognised
_BEFORE = 16
#: a word of this length in a secret of several words is looked for by itself
_WORD = 12
_MOVED = "where this secret would be sent has changed: give the secret again"
_NONE_KEPT = "this is the mask of a secret, and none is kept here: give the secret itself"
_OTHERS = "the masks in this text are not those that were shown: give the secrets again"
_DOUBTFUL = (
    "looks like a key or a token and is shown to whoever may read the action: "
    'write it as {"secret": "..."}, or name its header in config.secret_headers'
)


def extract_secrets(
    config: dict[str, Any],
    patterns: tuple[str, ...],
    kept: Mapping[str, Any] | None = None,
    *,
    author_wraps: bool = True,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """``config`` with its secrets masked, and the secrets by path (``headers/Authorization``).

    The secret of a text with masked parts is the list of these parts. ``kept`` are the secrets that masks in the config
    stood for: they are extracted again wherever they are. ``author_wraps`` says that ``{"secret": value}`` means the
    value; else, in an older definition, the object itself is sealed.
    """
    secrets, masks = dict[str, Any](), list[tuple[Path, Any]]()
    wanted = {pattern.lower() for pattern in patterns}
    forced = {name.lower(): value for name, value in (kept or {}).items()}
    named = _named_headers(config)
    secret: Any
    mask: Any
    for path, value in _leaves(config):
        before = forced.get(name_of(path).lower()) if forced else None
        if value in _NOTHING or value == _WRAPPED_MASK:
            continue
        if _is_wrapper(value, path):
            secret, mask = value[WRAPPER] if author_wraps or before is not None else value, dict(_WRAPPED_MASK)
        elif _is_secret(path, value, wanted, named) or _was_whole(before, value):
            secret, mask = value, MASK
        elif parts := _parts(path, value, 1 if len(masks) > _MOST_PLACES else _MOST_PARTS + 1):
            found = [value[start:end] for start, end in parts]
            many = len(masks) > _MOST_PLACES or len(parts) > _MOST_PARTS
            whole = many or not all(one in found for one in _listed(before))
            secret, mask = (value, MASK) if whole else (found, replaced(value, parts))
        elif before is not None:
            secret, mask = value, MASK
        else:
            continue
        secrets[name_of(path)] = secret
        masks.append((path, mask))
    masked = copy.deepcopy(config) if masks else config
    for path, mask in masks:
        _put(masked, path, mask)
    return masked, secrets


def _named_headers(config: Mapping[str, Any]) -> frozenset[str]:
    named = config.get("secret_headers")
    return (
        frozenset(name.lower() for name in named if isinstance(name, str)) if isinstance(named, list) else frozenset()
    )


def _is_wrapper(value: Any, path: Path) -> bool:
    """Whether a value is the object that marks a secret."""
    if not path or not isinstance(value, dict) or value.keys() != {WRAPPER} or value[WRAPPER] in (None, "", MASK):
        return False
    inner = value[WRAPPER]
    return _is_header(path) or not (isinstance(inner, str) and has_markup(inner))


def _is_header(path: Path) -> bool:
    return len(path) > 1 and path[-2].lower() == "headers"


def _is_secret(path: Path, value: Any, wanted: Collection[str], named: Collection[str]) -> bool:
    """Whether the whole of a value is secret because of its place."""
    if len(path) == 1 and path[0].lower() in wanted:
        return True
    if isinstance(value, dict | list | bool):
        return False
    if _is_header(path):
        return is_secret_header(path[-1]) or path[-1].lower() in named
    if not isinstance(value, str) or path[-1].isdecimal():  # the items of a list have no names
        return False
    return is_secret_member(path[-1]) and not is_template(value)


def _was_whole(kept: Any, value: Any) -> bool:
    """Whether a mask stood for this whole value."""
    return kept is not None and not isinstance(kept, list) and value == kept


def _parts(path: Path, value: Any, most: int = _MOST_PARTS) -> list[tuple[int, int]]:
    """The places of credentials, and of chance masks, in a text."""
    if not isinstance(value, str) or path[-1] == "script":
        return []
    found = spans(value, body=len(path) == 1 and path[0] in _BODIES, most=most)
    if not found:
        return []
    by_chance = [match.span() for match in re.finditer(re.escape(MASK), value)]
    within = [one for one in by_chance if not any(start < one[1] and one[0] < end for start, end in found)]
    return sorted([*found, *within])


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def sealed_config(
    workspace_id: str, revision_id: str, definition: Mapping[str, Any], hidden: dict[str, Any]
) -> str | None:
    """Seal the secrets of a config.

    ``definition`` is the masked one stored with them.
    """
    return seal(hidden, config_cell(workspace_id, revision_id, destination(definition))) if hidden else None


def opened_config(workspace_id: str, revision: Revision) -> dict[str, Any]:
    """Open the secrets of a revision's config, by path.

    Raises:
        SealBroken: they cannot be opened, or were sealed to be sent somewhere else.
    """
    if revision.sealed is None:
        return {}
    return unseal(revision.sealed, config_cell(workspace_id, revision.id, destination(revision.definition)))


def destination(definition: Mapping[str, Any]) -> str:
    """The executor and destination to which sealed secrets are bound.

    Keys that a config lacks are left out, so that a new key in a later release changes nothing that is stored.
    """
    config = definition["config"]
    places = {name: config[name] for name in _PLACES if name in config}
    return json.dumps([definition.get("executor"), places], sort_keys=True)


def seal_parameters(
    values: Mapping[str, Any], names: Collection[str], cell: Cell, secrets: Collection[str] = ()
) -> tuple[str, str | None]:
    """Parameters in stored form: ``names`` masked, and sealed for ``cell``.

    ``secrets`` are further texts, sealed with them under ``HANDED_ON``.
    """
    hidden = {name: value for name, value in values.items() if name in names and value is not None}
    return json.dumps(masked(values, names)), seal({**hidden, HANDED_ON: list(secrets)} if secrets else hidden, cell)


def opened_parameters(row: Any) -> dict[str, Any]:
    """Open the secret parameters of an execution, by name.

    Raises:
        SealBroken: they cannot be opened, or belong to another execution.
    """
    if row.sealed is None:
        return {}
    return unseal(row.sealed, parameters_cell(row.workspace_id, row.id, row.revision_id))


def unmask(
    wanted: Mapping[str, Any], old: Mapping[str, Any], known: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Replace the masks of a definition by their secrets, returned too.

    ``old`` is the stored definition (masked), ``known`` its secrets by path.

    Raises:
        InvalidRequest: a mask has no stored secret, or the secret would go elsewhere.
    """
    config = wanted.get("config")
    if not isinstance(config, dict):
        return dict(wanted), {}
    kept = {name.lower(): value for name, value in known.items()}
    before = {name_of(path).lower(): value for path, value in _leaves(old["config"])}
    moved = receiver(wanted, known) != receiver(old, known)
    whole, used, problems = copy.deepcopy(config), dict[str, Any](), list[Problem]()
    for path, value in _leaves(config):
        name = name_of(path)
        secret = kept.get(name.lower())
        if not _holds_mask(path, value, secret):
            continue
        fault = _NONE_KEPT if secret is None else _MOVED if moved else _fault(value, before.get(name.lower()), secret)
        if fault:
            problems.append(Problem(f"/config/{name}", fault))
            continue
        used[name] = secret
        _put(whole, path, {WRAPPER: secret} if isinstance(value, dict) else _filled(value, secret))
    if problems:
        raise InvalidRequest("A masked secret cannot be kept here.", code="secret_needed", problems=problems)
    return {**wanted, "config": whole}, used


def _holds_mask(path: Path, value: Any, secret: Any) -> bool:
    """Whether a value is, or contains, a mask of a credential."""
    if isinstance(value, dict):
        return bool(value == _WRAPPED_MASK)
    if not isinstance(value, str) or MASK not in value:
        return False
    parts = isinstance(secret, list)
    return value == MASK or parts or any(MASK in value[start:end] for start, end in _parts(path, value))


def _fault(value: Any, before: Any, secret: Any) -> str | None:
    """Why the masks in a text cannot be filled, or None."""
    if value == MASK or isinstance(value, dict):
        return None
    if not isinstance(secret, list) or not isinstance(before, str) or value.count(MASK) != len(secret):
        return _OTHERS
    marks = [[piece[-_BEFORE:] for piece in text.split(MASK)[:-1]] for text in (value, before)]
    return None if marks[0] == marks[1] else _OTHERS


def receiver(definition: Mapping[str, Any], known: Mapping[str, Any], more: tuple[str, ...] = ()) -> list[Any]:
    """The executor and destination of an action, in clear.

    ``more`` are further keys.
    """
    config, secrets = definition["config"], {name.lower(): value for name, value in known.items()}
    places = []
    for name in (*_PLACES, *_PROGRAMS, *more):
        value, secret = config.get(name), secrets.get(name)
        kept = isinstance(value, str) and (value == MASK or (isinstance(secret, list) and MASK in value))
        places.append(_filled(value, secret) if kept and secret is not None else value)
    return [definition.get("executor"), *places]


def restore_secrets(config: dict[str, Any], secrets: Mapping[str, Any]) -> dict[str, Any]:
    """The config with clear secrets, in the executor's form."""
    if not secrets:
        return config
    whole = copy.deepcopy(config)
    for name, value in secrets.items():
        path = _path(name)
        _put(whole, path, _filled(_at(whole, path), value))
    return whole


def opened(config: dict[str, Any], secrets: Mapping[str, Any]) -> dict[str, Any]:
    """The config with clear secrets, in its author's form."""
    whole = restore_secrets(config, secrets)
    for name, value in secrets.items():
        if _at(config, _path(name)) == _WRAPPED_MASK:
            _put(whole, _path(name), {WRAPPER: value})
    return whole


def plain(config: dict[str, Any]) -> dict[str, Any]:
    """A config in clear with each ``{"secret": value}`` replaced by the value."""
    whole = copy.deepcopy(config)
    for path, value in _leaves(config):
        if _is_wrapper(value, path):
            _put(whole, path, value[WRAPPER])
    return whole


def telling(secrets: Mapping[str, Any]) -> list[str]:
    """Every text that would reveal a secret of a config."""
    found = texts(secrets)
    words = [word for text in found if " " in text for word in text.split() if len(word) >= _WORD]
    return [*found, *words, *(unquote(text) for text in found if "%" in text)]


def doubtful(config: Mapping[str, Any]) -> list[Problem]:
    """Warnings of unmasked values that look like credentials."""
    found = (
        Problem(f"/config/{name_of(path)}", _DOUBTFUL)
        for path, value in _leaves(config)
        if path[0] in ("headers", "url", "target", "body", "body_template", "custom_details")
        and isinstance(value, str)
        and looks_random(value)
    )
    return list(islice(found, _MOST_DOUBTS))


def name_of(path: Path) -> str:
    """The name of a path: a JSON pointer without its first slash."""
    return "/".join(map(escape, path))


def _path(name: str) -> Path:
    return tuple(map(unescape, name.split("/")))


def _filled(masked: Any, secret: Any) -> Any:
    """A masked value in clear."""
    if not isinstance(secret, list) or not isinstance(masked, str) or masked == MASK:
        return secret
    first, *others = masked.split(MASK)
    return first + "".join(f"{value}{piece}" for value, piece in zip(secret, others, strict=False))


def _leaves(config: Mapping[str, Any]) -> list[tuple[Path, Any]]:
    """Every leaf and list with its path; a pattern names either."""
    found = list[tuple[Path, Any]]()
    waiting = deque[tuple[Path, Any]]([((), config)])
    while waiting:
        path, value = waiting.popleft()
        if isinstance(value, dict):
            if path and value.keys() == _WRAPPED_MASK.keys():
                found.append((path, value))
                if _is_wrapper(value, path) or value[WRAPPER] == MASK:
                    continue
            waiting.extend([((*path, str(key)), item) for key, item in value.items()])
        else:
            found.append((path, value))
            if isinstance(value, list):
                waiting.extend([((*path, str(number)), item) for number, item in enumerate(value)])
    return found


def _put(config: Any, path: Path, value: Any) -> None:
    """Set the value at a path.

    A mask in place of a list on the way stays.
    """
    container = config
    for part in path[:-1]:
        container = container[int(part)] if isinstance(container, list) else container.setdefault(part, {})
    if isinstance(container, list):
        container[int(path[-1])] = value
    elif isinstance(container, dict):
        container[path[-1]] = value


def _at(config: Any, path: Path) -> Any:
    """The value at a path, or None."""
    for part in path:
        if isinstance(config, list) and part.isdecimal() and int(part) < len(config):
            config = config[int(part)]
        elif isinstance(config, dict):
            config = config.get(part)
        else:
            return None
    return config
