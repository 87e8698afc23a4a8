"""What is read of the body of a request."""

import json
from typing import Any

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import RAISE, fields

from api.actions import schemas
from api.http import body
from api.http.base_schema import Schema
from api.runs import schemas as run_schemas
from config import strict_json
from config.errors import InvalidRequest


@pytest.mark.parametrize("schema", [schemas.Trigger(), run_schemas.RunRequest()], ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("parameters", [{}, {"host": "web-1", "ports": [22, None], "more": {"parameters": {}}}])
def test_parameters_alone_are_read_as_the_schema_reads_them(schema: Schema, parameters: dict[str, Any]) -> None:
    """A request that gives parameters and nothing else has every other member as the schema would have it."""
    given = {"parameters": parameters}
    for _ in range(2):
        with Flask("any").test_request_context(method="POST", json=given):
            assert body.load(schema) == schema.load(given, unknown=RAISE)


#: members of bodies, known and unknown, and values at the edges of what each takes
MEMBERS = st.dictionaries(
    st.sampled_from(["parameters", "target", "target_asset_id", "sandbox", "dry_run", "from", "reason", "revisions"]),
    st.one_of(
        st.none(),
        st.booleans(),
        st.sampled_from(["", "x", "x" * 255, "x" * 256, 0, 1, "true", "failed", "pinned", {}, {"a": 1}, [], 1.5]),
    ),
    max_size=4,
)


@pytest.mark.parametrize(
    "schema",
    [schemas.Trigger(), run_schemas.RunRequest(), run_schemas.RetryRequest(), schemas.ActionDefinition()],
    ids=lambda one: type(one).__name__,
)
@given(members=MEMBERS)
def test_plain_bodies_are_read_as_the_schema_reads_them(schema: Schema, members: dict[str, Any]) -> None:
    """What is read without the library is what the library reads, and nothing that it refuses."""
    found = schema.plainly(members)
    if found is not None:
        assert found == schema.load(members, unknown=RAISE)
        assert repr(sorted(found.items())) == repr(sorted(schema.load(members, unknown=RAISE).items()))


def test_most_bodies_are_plain() -> None:
    """Else the comparison above would compare nothing."""
    members = {"parameters": {"host": "web-1"}, "target": "web-1", "sandbox": True}
    assert schemas.Trigger().plainly(members) == {**members, "dry_run": False}
    assert schemas.Trigger().plainly({}) == {"parameters": {}, "target": None, "sandbox": False, "dry_run": False}
    assert run_schemas.RunRequest().plainly({"dry_run": True, "target_asset_id": "a"}) is not None
    fresh = [schemas.Trigger().plainly({}) or {} for _ in range(2)]
    assert fresh[0]["parameters"] is not fresh[1]["parameters"]


def test_parameters_that_are_declarations_are_looked_at() -> None:
    """Where parameters are no object but a list, an object there is refused like any other fault."""
    with Flask("any").test_request_context(method="POST", json={"parameters": {}}), pytest.raises(Exception) as caught:
        body.load(schemas.ActionDefinition())
    assert caught.value.data["messages"]["json"]["parameters"]


class Other(Schema):
    """One that wants more than parameters."""

    parameters = fields.Dict(keys=fields.String())
    when = fields.String(required=True)


class Numbers(Schema):
    """One whose parameters are numbers."""

    parameters = fields.Dict(keys=fields.String(), values=fields.Integer())


@pytest.mark.parametrize(("schema", "fault"), [(Other(), "when"), (Numbers(), "parameters")], ids=["more", "numbers"])
def test_what_else_a_schema_wants_is_still_wanted(schema: Schema, fault: str) -> None:
    """Parameters alone are refused where another member is required, or where they are of the wrong kind."""
    for _ in range(2):
        given = Flask("any").test_request_context(method="POST", json={"parameters": {"a": "b"}})
        with given, pytest.raises(Exception) as caught:
            body.load(schema)
        assert list(caught.value.data["messages"]["json"]) == [fault]


def test_a_byte_order_mark_is_named() -> None:
    """The fault of a body with a byte order mark names the mark, not a missing value."""
    with pytest.raises(InvalidRequest, match="The body is not JSON: Unexpected UTF-8 BOM"):
        strict_json.parse(b"\xef\xbb\xbf" + json.dumps({}).encode())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": 1,}', "no comma belongs before a closing bracket (line 1, column 8)"),
        ("[1,\n 2 ,\n]", "no comma belongs before a closing bracket (line 2, column 4)"),
        ('{"a": [1,, 2]}', "a value belongs there: text in double quotes"),
        ("{'a': 1}", "a name in double quotes belongs there (line 1, column 2)"),
        ('{"a" 1}', "':' belongs there, after the name (line 1, column 6)"),
        ('{"a": True}', "a value belongs there: text in double quotes"),
        ('{\n "a": 1\n "b": 2}', "',' or a closing bracket belongs there (line 3, column 2)"),
        ('{"a": "b', "the text that begins there is not closed (line 1, column 7)"),
        ("{} x", "nothing belongs after the end of the value (line 1, column 4)"),
        ('{"a": "x\ny"}', r"a line break inside a text is written \n"),
        (r'{"a": "\x"}', r"a backslash inside a text is written \\"),
    ],
)
def test_what_is_no_json_is_told_where(text: str, words: str) -> None:
    """The fault has line and column, and what belongs there."""
    with pytest.raises(InvalidRequest) as refused:
        strict_json.parse(text.encode())
    assert words in str(refused.value)
