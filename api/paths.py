"""What a request to a wrong path, or with a wrong method, may have meant.

The candidates are the application's own routes: the nearest path of as many parts, and what stands below a path that
lacks the method.
"""

from collections.abc import Iterable, Iterator

from flask import Flask, current_app
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from api.http.current_request import present
from api.http.schemas import RESERVED_IDS
from expressions.suggestions import nearest

#: characters of a path that a message shows
_SHOWN_CHARACTERS = 128
#: parts that a path may have and still be compared
_MOST_PARTS = 8
#: how alike (0 to 1) two parts are that may mean the same
_LIKENESS = 0.7
#: other words for parts of our paths
_SYNONYMS = {
    "runs": "executions",
    "run": "executions",
    "jobs": "executions",
    "tasks": "executions",
    "workflows": "playbooks",
    "workflow": "playbooks",
    "automations": "playbooks",
    "alerts": "events",
    "tokens": "keys",
    "apikeys": "keys",
    "api-keys": "keys",
    "execute": "run",
    "start": "run",
    "stop": "cancel",
    "abort": "cancel",
    "breakers": "circuit-breakers",
    "open": "trip",
    "close": "reset",
    "enable": "enabled",
    "continue": "resume",
}
#: what other products have at the top → where it is here
_ELSEWHERE = {
    **dict.fromkeys(("runs", "run", "workflow-executions"), ("playbooks/executions",)),
    **dict.fromkeys(
        ("executions", "execution", "jobs", "job", "tasks", "history"), ("actions/executions", "playbooks/executions")
    ),
}
#: the first parts of our paths
_ROOTS = ("api", "v1", "admin")
#: parts of a path of one word, the empty one before its slash counted
_BARE = 2
#: a part of a path that is an id
_ANY = "*"


def words(error: HTTPException) -> str | None:
    """What to say about an error of routing; None for any other."""
    asked = present()
    if asked.routing_exception is not error:
        return None
    path = asked.path[:_SHOWN_CHARACTERS]
    if isinstance(error, MethodNotAllowed):
        return _about_method(path, asked.method, error.valid_methods or ())
    if isinstance(error, NotFound):
        meant = _meant(asked.path)
        if not meant and len(asked.path.split("/")) == _BARE:
            return f"There is nothing at {path}: the API is below /api, such as /api/playbooks. All paths: /docs"
        return f"There is no path {path}{f'; did you mean {meant}?' if meant else '.'} All paths: /docs"
    return None


def _about_method(path: str, method: str, allowed: Iterable[str]) -> str:
    taken = ", ".join(sorted(set(allowed) - {"HEAD", "OPTIONS"}))
    below = sorted(_below(path))
    more = f" Below it: POST {', POST '.join(f'…/{word}' for word in below)}." if below else ""
    return f"{method} is not possible here: {path} takes {taken}.{more}"


def _patterns(app: Flask) -> Iterator[tuple[list[str], set[str]]]:
    """Every route: its parts, ids as ``*``, and its methods."""
    for rule in app.url_map.iter_rules():
        parts = [_ANY if part.startswith("<") else part for part in rule.rule.strip("/").split("/")]
        yield parts, set(rule.methods or ())


def _below(path: str) -> set[str]:
    """The words that may be posted below a path."""
    given = path.strip("/").split("/")
    return {
        parts[-1]
        for parts, methods in _patterns(current_app)
        if "POST" in methods and len(parts) == len(given) + 1 and parts[-1] != _ANY and _leads(parts, given)
    }


def _meant(path: str) -> str:
    """The path of ours that is most like a wrong one, or nothing."""
    given = path.strip("/").split("/")
    if len(given) > _MOST_PARTS:
        return ""
    named = given[1:] if given[0] == "api" else given
    if named and named[0].lower() in _ELSEWHERE:
        rest = "".join(f"/{part}" for part in named[1:])
        return " or ".join(f"/api/{there}{rest}" for there in _ELSEWHERE[named[0].lower()])
    best, least = "", len(given) + 1
    others = [[root, *given[1:]] for root in _ROOTS if given[0] in _ROOTS and root != given[0]]
    for candidate in (given, ["api", *given], *others):
        for parts, _ in _patterns(current_app):
            changed = _changed(parts, candidate)
            if changed is not None and changed[0] < least:
                least, best = changed[0], changed[1]
    return best or " or ".join(_around(given))


def _around(given: list[str]) -> Iterator[str]:
    """The paths one part longer than a wrong one, and the path that it lies below."""
    path, known = "/" + "/".join(given), list(_patterns(current_app))
    yield from sorted(
        f"{path}/{parts[-1]}"
        for parts, _ in known
        if len(parts) == len(given) + 1 and parts[-1] != _ANY and _leads(parts, given)
    )
    if len(given) > _BARE and any(parts == given[:-1] for parts, _ in known):
        yield path.rpartition("/")[0]


def _leads(parts: list[str], given: list[str]) -> bool:
    return all(_fits(part, own) for part, own in zip(parts, given, strict=False))


def _fits(part: str, own: str) -> bool:
    """Whether a part of a route is this one; a word of our own paths is no id."""
    return part == own or (part == _ANY and own not in RESERVED_IDS)


def _changed(parts: list[str], given: list[str]) -> tuple[int, str] | None:
    """The number of parts to change, and the path then; None where one is too different."""
    if len(parts) != len(given):
        return None
    changes, made = 0, []
    for part, own in zip(parts, given, strict=True):
        if _fits(part, own):
            made.append(own)
        elif _SYNONYMS.get(own.lower()) == part or nearest(own, (part,), _LIKENESS):
            changes += 1
            made.append(part)
        else:
            return None
    return changes, "/" + "/".join(made)
