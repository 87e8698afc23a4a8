"""What the OpenAPI document promises to those who make clients of it: members, types, times, codes, ids.

That the promises are true, ``tests.support.answers`` asserts of every answer that a test receives.
"""

import copy
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from config.error_codes.table import CODES
from playbooks.definitions.step_types import OPTIONAL, REQUIRED, TYPES
from tests.support import answers
from tests.support.answers import Answers
from tests.support.api import Door, carry_out

METHODS = ("get", "post", "put", "patch", "delete")
#: answer schema without required members → why
FREE = {
    "Document": "it is of the form that its author has chosen",
    "StreamEvent": "a block of a stream may be an event, a place or a time alone",
}
#: members that say when something was or will be, by their names
TIMES = re.compile(r"(_at|_until|_from_to|^at|^timestamp|^since|^until|^deadline|^last_used|execution_time|^end_date)$")
#: the same names where something else is meant
NO_TIMES = {"Previewed.looked_at": "a number", "Verified.first_broken_at": "the id of a record"}


@pytest.fixture
def document(door: Door) -> dict[str, Any]:
    """The document as it is served."""
    found: dict[str, Any] = door.call("GET", "/api/openapi.json", key=None).json
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every operation by its id."""
    for item in document["paths"].values():
        for method in METHODS:
            if method in item:
                yield item[method]["operationId"], item[method]


def answered(document: dict[str, Any]) -> set[str]:
    """The names of the schemas that answers have, at any depth."""
    schemas, found = document["components"]["schemas"], set[str]()
    waiting = [json.dumps(operation["responses"]) for _, operation in operations(document)]
    while waiting:
        for name in set(re.findall(r'"#/components/schemas/([^"]+)"', waiting.pop())) - found:
            found.add(name)
            waiting.append(json.dumps(schemas[name]))
    return found


def members(document: dict[str, Any], names: set[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """``Schema.member`` → its schema, of everything that answers have, inline objects and items too."""

    def inside(name: str, schema: Any) -> Iterator[tuple[str, dict[str, Any]]]:
        if not isinstance(schema, dict):
            return
        for member, inner in schema.get("properties", {}).items():
            yield f"{name}.{member}", inner
            yield from inside(f"{name}.{member}", inner)
        for word in ("items", "additionalProperties"):
            yield from inside(f"{name}[]", schema.get(word))
        for word in ("anyOf", "oneOf", "allOf"):
            for inner in schema.get(word, ()):
                yield from inside(name, inner)

    for name in sorted(names):
        yield from inside(name, document["components"]["schemas"][name])


def test_every_answer_says_which_members_are_always_there(document: dict[str, Any]) -> None:
    """``required`` is in each schema of an answer, but for those with a reason."""
    schemas, names = document["components"]["schemas"], answered(document)
    assert len(names) > 150
    lacking = {name for name in names if not schemas[name].get("required") and "oneOf" not in schemas[name]}
    assert lacking == set(FREE)


def test_every_time_is_documented_as_one(document: dict[str, Any]) -> None:
    """By ``format: date-time``, whatever the member belongs to."""
    found = [(name, schema) for name, schema in members(document, answered(document)) if name not in NO_TIMES]
    times = [(name, schema) for name, schema in found if TIMES.search(name.rpartition(".")[2])]
    assert len(times) > 100
    assert [name for name, schema in times if schema.get("format") != "date-time"] == []


def test_every_member_has_a_type(document: dict[str, Any]) -> None:
    """Its own or that of what it refers to; what may be anything says so by naming all types."""
    kinds = {"type", "$ref", "anyOf", "oneOf", "allOf", "enum", "const"}
    found = dict(members(document, answered(document)))
    assert len(found) > 1000
    assert [name for name, schema in found.items() if schema is not True and not kinds & schema.keys()] == []


def test_every_operation_lists_the_codes_of_its_errors(document: dict[str, Any]) -> None:
    """Each error status has an enum of codes, which the table knows, with this status; the example has one of them."""
    listed: set[str] = set()
    for name, operation in operations(document):
        for status, answer in operation["responses"].items():
            content = answer.get("content", {}).get("application/problem+json")
            if content is None:
                continue
            [codes] = [
                part["properties"]["code"]["enum"] for part in content["schema"]["allOf"] if "properties" in part
            ]
            assert codes, f"{name} {status}"
            assert content["example"]["code"] in codes, f"{name} {status}"
            assert [code for code in codes if int(status) not in CODES[code].statuses] == [], f"{name} {status}"
            listed |= set(codes)
    of_the_framework = {"method_not_allowed", "uri_too_long", "headers_too_large", "internal_error"}
    assert {code for code, row in CODES.items() if row.statuses} - listed - of_the_framework == {"conflict"}


def test_a_step_is_one_of_its_types(document: dict[str, Any]) -> None:
    """Each type has a schema with its own members, found by the discriminator, as it is written and as it is kept."""
    schemas = document["components"]["schemas"]
    for form in ("Step", "StepDefinition"):
        mapping = schemas[form]["discriminator"]["mapping"]
        assert set(mapping) == set(TYPES)
        assert [one["$ref"] for one in schemas[form]["oneOf"]] == list(mapping.values())
        for kind, reference in mapping.items():
            schema = schemas[reference.rpartition("/")[2]]
            assert schema["properties"]["type"]["const"] == kind
            assert {*REQUIRED[kind], *OPTIONAL[kind]} <= schema["properties"].keys()
            assert schema["additionalProperties"] is False


def test_editors_get_the_schemas_without_a_key(door: Door) -> None:
    """Both under every prefix, as JSON Schema 2020-12; no action or playbook can take their address."""
    for noun in ("actions", "playbooks"):
        for prefix in ("/api", "/api/v1"):
            answer = door.call("GET", f"{prefix}/{noun}/schema", key=None)
            assert (answer.status_code, answer.content_type) == (200, "application/schema+json")
            assert answer.json["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    refused = door.call("POST", "/api/playbooks", json={"id": "schema", "name": "x", "steps": []})
    assert "/id" in {one["pointer"] for one in refused.json["errors"]}


def test_bodies_in_yaml_are_texts_that_a_generator_can_read(document: dict[str, Any]) -> None:
    """Wherever a body may be YAML: a string of that kind, in requests and answers, with an example in YAML."""
    found = 0
    for name, operation in operations(document):
        contents = [answer.get("content", {}) for answer in operation["responses"].values()]
        for content in (operation.get("requestBody", {}).get("content", {}), *contents):
            if "application/yaml" in content:
                found += 1
                yaml = content["application/yaml"]
                assert yaml["schema"]["type"] == "string", name
                assert yaml["schema"]["contentMediaType"] == "application/yaml", name
                assert isinstance(yaml["example"], str), name
    assert found == 5


def test_every_parameter_is_described(document: dict[str, Any]) -> None:
    """In paths, queries and headers."""
    found = [(name, one) for name, operation in operations(document) for one in operation.get("parameters", ())]
    found += [(path, one) for path, item in document["paths"].items() for one in item.get("parameters", ())]
    assert len(found) > 200
    assert [f"{name} {one['name']}" for name, one in found if not one.get("description")] == []


def test_an_operation_keeps_its_id(document: dict[str, Any]) -> None:
    """Clients are generated with it as a name: it is of letters only, and there is no second of it."""
    ids = [name for name, _ in operations(document)]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"[a-z]+([A-Z][a-z0-9]*)*", name) for name in ids)


def test_what_the_document_does_not_say_is_found(door: Door, document: dict[str, Any]) -> None:
    """A member that is missing or has another type, a time that is none, a status and a code without an entry."""
    execution = door.trigger(door.create()["id"])
    carry_out(execution, output={"ok": True})
    path = f"/api/actions/executions/{execution}"
    shown, known = door.call("GET", path).json, Answers(document)

    def fault(answered: int = 200, **changes: Any) -> str | None:
        body = {"data": {name: value for name, value in {**shown["data"], **changes}.items() if value != "gone"}}
        return known.fault("GET", path, answered, "application/json", json.dumps(body))

    assert fault() is None
    assert "'status' is a required property" in str(fault(status="gone"))
    assert "not a 'date-time'" in str(fault(created_at="yesterday"))
    assert "is not of type" in str(fault(attempt="1"))
    assert "surprise" in str(fault(surprise=1))
    assert "the status 418 is not documented" in str(fault(418))
    problem = door.call("GET", "/api/actions/executions/exec-unknown").json
    text = json.dumps({**problem, "code": "made_up"})
    assert "made_up" in str(known.fault("GET", path, 404, "application/problem+json", text))


def test_each_answer_of_a_test_is_held_against_the_document(
    door: Door, document: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A document that promises more than is answered fails the test whose client receives the answer."""
    door.call("GET", "/api/actions")
    promising = copy.deepcopy(document)
    promising["components"]["schemas"]["Meta"]["required"].append("surprise")
    monkeypatch.setattr(answers, "_known", [Answers(promising)])
    with pytest.raises(AssertionError, match="'surprise' is a required property"):
        door.call("GET", "/api/actions")
