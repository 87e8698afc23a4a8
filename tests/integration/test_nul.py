"""NUL, which PostgreSQL stores in no text, is refused in every path and every query."""

from typing import Any
from urllib.parse import quote

import pytest

from tests.support.api import Door, assert_problem

#: SQLite takes NUL
pytestmark = pytest.mark.parametrize("database", ["postgresql"], indirect=True)

METHODS = ("get", "post", "put", "patch", "delete")


@pytest.fixture(scope="module")
def operations() -> list[tuple[str, str, list[dict[str, Any]]]]:
    """Method, path and parameters of each operation of the document."""
    from api import create_app

    document = create_app().test_client().get("/openapi.json").json
    return [
        (method, path, [*shared.get("parameters", ()), *shared[method].get("parameters", ())])
        for path, shared in document["paths"].items()
        for method in METHODS
        if method in shared
    ]


@pytest.fixture
def whole(database: str) -> tuple[Door, str]:
    """The application on PostgreSQL, and a key that covers every tenant."""
    door = Door()
    return door, door.key(grants=[{"tenants": ["*"]}])


def _address(path: str, parameters: list[dict[str, Any]], odd: str = "") -> str:
    """The path with an example for each parameter, or NUL for one."""
    for one in parameters:
        if one["in"] == "path":
            value = "a\0b" if one["name"] == odd else str(one.get("example", "one"))
            path = path.replace(f"{{{one['name']}}}", quote(value, safe=""))
    return path


def _query(parameters: list[dict[str, Any]], odd: str) -> str:
    """A query with NUL for one parameter, and an example for each other that is required."""
    needed = [one for one in parameters if one["in"] == "query" and one.get("required") and one["name"] != odd]
    return "&".join([f"{odd}=a%00b", *(f"{one['name']}={quote(str(one.get('example', 'one')))}" for one in needed)])


def _names(parameters: list[dict[str, Any]], place: str) -> list[str]:
    return [one["name"] for one in parameters if one["in"] == place]


def test_nul_in_a_path_is_of_nothing(whole: tuple[Door, str], operations: list[Any]) -> None:
    """404, whatever the part of the path names."""
    door, key = whole
    asked = [(method, path, of, name) for method, path, of in operations for name in _names(of, "path")]
    assert len(asked) > 40
    for method, path, parameters, name in asked:
        assert_problem(door.call(method.upper(), _address(path, parameters, name), key, json={}), 404)


def test_nul_in_a_query_is_a_fault_of_its_member(whole: tuple[Door, str], operations: list[Any]) -> None:
    """400 that names the member; 404 where what the path names is looked for first, and for a link that decides."""
    door, key = whole
    asked = [(method, path, of, name) for method, path, of in operations for name in _names(of, "query")]
    assert len(asked) > 100
    for method, path, parameters, name in asked:
        problem = assert_problem(
            door.call(method.upper(), f"{_address(path, parameters)}?{_query(parameters, name)}", key)
        )
        if problem["status"] == 400:
            assert any(one["pointer"].startswith(f"/query/{name}") for one in problem["errors"]), (method, path, name)
        else:
            usual = [(404, "cursor"), (415, name)]
            if path.startswith("/v1/approvals/{namespace}"):  # which is answered alike, whatever is wrong with it
                usual = [(404, name)]
            assert (problem["status"], name) in usual, (method, path, name)
