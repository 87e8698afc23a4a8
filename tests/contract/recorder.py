"""What a contract test does, and whether that is what it is marked with.

A test says by ``@pytest.mark.documented("GET /v1/audit", 200, "?limit")`` which part of the documents it is about. Its
client notes each request with the answer's status, and once the test has passed, each mark is compared with the notes:
a mark without its request fails the test. So the marks, which ``test_coverage`` adds up without running a test, are
true in every process and for every selection of tests; a list that tests fill while they run would be whole only where
one process runs all of them, which neither ``pytest -n`` nor ``pytest -k`` does.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import pytest
from werkzeug.test import Client, TestResponse

from tests.contract.documented import Fact, endpoint_of


class Note(NamedTuple):
    """A request and the status of its answer."""

    endpoint: str
    status: int
    names: frozenset[str]


def watch(client: Client) -> list[Note]:
    """Note what this client sends from now on; returns the growing list."""
    notes: list[Note] = []
    send = client.open

    def noting(*given: Any, **options: Any) -> TestResponse:
        answer = send(*given, **options)
        asked = answer.request
        names = {f"?{name}" for name in asked.args} | {f"{name.lower()}:" for name, _ in asked.headers}
        notes.append(
            Note(
                endpoint_of(asked.method, asked.path),
                answer.status_code,
                frozenset(names | _members(options) | set(_words(answer.json if answer.is_json else None))),
            )
        )
        return answer

    client.open = noting  # type: ignore[method-assign]
    return notes


def _members(options: dict[str, Any]) -> set[str]:
    """The members of the body that a request is given."""
    body = options.get("json")
    if isinstance(data := options.get("data"), str | bytes):
        try:
            body = json.loads(data)
        except ValueError:
            return set()
    return set(body) if isinstance(body, dict) else set()


def _words(answered: Any) -> Iterator[str]:
    """The states, types and outcomes that an answer says, at any depth."""
    if isinstance(answered, list):
        for one in answered:
            yield from _words(one)
    elif isinstance(answered, dict):
        for name, value in answered.items():
            if name in ("status", "type", "outcome") and isinstance(value, str):
                yield f"={value}"
            yield from _words(value)


def claims(marks: Iterable[pytest.Mark]) -> set[Fact]:
    """What a test with these marks says that it does."""
    found: set[Fact] = set()
    for mark in marks:
        if mark.name == "documented":
            endpoint, status, *names = mark.args
            found |= {(endpoint, status, name) for name in ("", *" ".join(names).split())}
    return found


def unkept(said: Iterable[Fact], notes: Sequence[Note]) -> list[Fact]:
    """What a test says that it does and has not done."""

    def done(fact: Fact) -> bool:
        endpoint, status, name = fact
        name = name.lower() if name.endswith(":") else name
        return any(
            (note.endpoint, note.status) == (endpoint, status) and (not name or name in note.names) for note in notes
        )

    return sorted(fact for fact in said if not done(fact))
