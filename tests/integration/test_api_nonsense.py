"""Whatever a client sends, the answer is the one error body with a 4xx status: never a 5xx, never another shape."""

import io
import json
from typing import Any

import pytest

from tests.support.api import Door, assert_problem

_JSON = {"Content-Type": "application/json"}


@pytest.fixture
def action(door: Door) -> str:
    """The path of an action with two parameters."""
    declared = [{"name": "host", "type": "string", "required": True}, {"name": "hours", "type": "integer"}]
    return f"/api/actions/{door.create(parameters=declared)['id']}"


def deep(levels: int) -> bytes:
    """A trigger whose value of ``host`` is nested lists of that depth."""
    return b'{"parameters": {"host": ' + b"[" * levels + b"]" * levels + b"}}"


BODIES = {
    "not JSON": b"hello",
    "half": b'{"parameters": {',
    "twice": b'{"parameters": {}} {}',
    "a list": b"[]",
    "a number": b"7",
    "null": b"null",
    "a string": b'"x"',
    "single quotes": b"{'parameters': {}}",
    "a comment": b'{"parameters": {} /* x */}',
    "NaN": b'{"parameters": {"host": NaN}}',
    "Infinity": b'{"parameters": {"host": -Infinity}}',
    "beyond a double": b'{"parameters": {"host": 1e999}}',
    "an endless integer": b'{"parameters": {"host": ' + b"9" * 5000 + b"}}",
    "a control character": b'{"parameters": {"host": "\x01"}}',
    "NUL": b'{"parameters": {"host": "a\\u0000b"}}',
    "NUL in a name": b'{"parameters": {"a\\u0000b": 1}}',
    "half a surrogate pair": b'{"parameters": {"host": "\\ud800"}}',
    "bad UTF-8": b'{"parameters": {"host": "\xff\xfe"}}',
    "UTF-16": '{"parameters": {}}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"parameters": {}}',
    "a member twice": b'{"parameters": {}, "parameters": {}}',
    "a member twice inside": b'{"parameters": {"host": "a", "host": "b"}}',
    "33 levels": deep(31),
    "100000 levels": deep(100_000),
    "parameters null": b'{"parameters": null}',
    "parameters a list": b'{"parameters": []}',
    "an unknown member": b'{"parameters": {"host": "x"}, "sandbx": true}',
    "a word for a flag": b'{"parameters": {"host": "x"}, "sandbox": "yes"}',
    "a number for a flag": b'{"parameters": {"host": "x"}, "dry_run": 1}',
    "a number for the target": b'{"parameters": {"host": "x"}, "target": 7}',
    "an empty target": b'{"parameters": {"host": "x"}, "target": ""}',
    "a long target": b'{"parameters": {"host": "x"}, "target": "' + b"x" * 256 + b'"}',
    "both modes": b'{"parameters": {"host": "x"}, "sandbox": true, "dry_run": true}',
}


@pytest.mark.parametrize("name", BODIES)
def test_a_nonsensical_body_is_a_bad_request(door: Door, action: str, name: str) -> None:
    """Each of these is 400 and says what is wrong."""
    assert_problem(door.call("POST", f"{action}/trigger", data=BODIES[name], headers=_JSON), 400)


@pytest.mark.parametrize("body", [b"", b"{}"])
def test_a_body_without_parameters_counts_as_no_parameters(door: Door, action: str, body: bytes) -> None:
    """An action with a required parameter names that one."""
    problem = assert_problem(door.call("POST", f"{action}/trigger", data=body, headers=_JSON), 422)
    assert problem["errors"] == [{"pointer": "/parameters/host", "detail": "'host' is required"}]


@pytest.mark.parametrize(
    ("parameters", "pointer"),
    [({}, "/parameters/host"), ({"host": 1}, "/parameters/host"), ({"host": "a", "x/y": 1}, "/parameters/x~1y")],
)
def test_values_that_do_not_fit_are_unprocessable(door: Door, action: str, parameters: Any, pointer: str) -> None:
    """Values against the action's own declarations are 422 with a JSON pointer to each."""
    problem = assert_problem(door.call("POST", f"{action}/trigger", json={"parameters": parameters}), 422)
    assert pointer in [fault["pointer"] for fault in problem["errors"]]


def test_the_deepest_allowed_body_is_read(door: Door, action: str) -> None:
    """32 levels pass the reader: what is wrong then is the value, not the body."""
    assert_problem(door.call("POST", f"{action}/trigger", data=deep(30), headers=_JSON), 422)


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "application/yaml", "application/jsonx", "x", ""]
)
def test_other_content_types_are_refused(door: Door, action: str, kind: str) -> None:
    """A body that does not say that it is JSON is 415."""
    headers = {"Content-Type": kind}
    assert_problem(door.call("POST", f"{action}/trigger", data=b'{"parameters": {}}', headers=headers), 415)


def test_encoded_bodies_are_refused(door: Door, action: str) -> None:
    """A compressed body is 415: the API unpacks no bombs."""
    headers = {**_JSON, "Content-Encoding": "gzip"}
    assert_problem(door.call("POST", f"{action}/trigger", data=b"\x1f\x8b", headers=headers), 415)


class BrokenOff(io.RawIOBase):
    """A body whose reading fails as it does in the web server when a chunk is malformed."""

    def readable(self) -> bool:
        return True

    def readinto(self, _: Any) -> int:
        raise RuntimeError("Invalid chunk size")


def test_a_body_that_breaks_off_is_a_bad_request(door: Door, action: str) -> None:
    """Chunks that make no sense are the client's fault, wherever they are noticed."""
    headers = {**_JSON, "Transfer-Encoding": "chunked"}
    environ = {"wsgi.input_terminated": True, "wsgi.input": BrokenOff()}
    for path in (f"{action}/trigger", f"{action}/enable"):
        answer = door.call("POST", path, headers=headers, environ_overrides=environ)
        assert_problem(answer, 400)


def test_large_bodies_are_refused(door: Door, action: str) -> None:
    """More than 1 MiB is 413, whichever operation it is sent to."""
    body = b'{"parameters": {"host": "' + b"x" * (1 << 20) + b'"}}'
    for method, path in (("POST", f"{action}/trigger"), ("PUT", action), ("POST", f"{action}/enable")):
        assert_problem(door.call(method, path, data=body, headers=_JSON), 413)


def test_a_body_where_none_belongs_is_refused(door: Door, action: str) -> None:
    """An operation without a body refuses one, except for an empty object."""
    assert_problem(door.call("POST", f"{action}/disable", json={"enabled": True}), 400)
    assert door.call("POST", f"{action}/disable", json={}).status_code == 200


DEFINITIONS: list[Any] = [
    {},
    {"name": 7},
    {"name": "x", "type": "none", "executor": "webhook"},
    {"name": "x", "type": ["webhook"], "executor": {"type": 7}},
    {"name": "x", "type": "webhook", "executor": {}},
    {"name": "x", "type": "webhook", "executor": "webhook", "config": []},
    {"name": "x", "type": "webhook", "executor": "webhook", "config": {"url": 7}},
    {"name": "x", "type": "webhook", "executor": "webhook", "config": {"url": "gopher://h/"}},
    {"name": "x", "type": "webhook", "executor": "webhook", "config": {"url": "http://h/"}, "parameters": {}},
    {"name": "x", "type": "webhook", "executor": "webhook", "config": {"url": "http://h/"}, "parameters": [7]},
    {"name": "x", "type": "webhook", "executor": "webhook", "config": {"url": "http://h/"}, "retry": [1]},
    {"name": "x", "type": "webhook", "executor": "webhook", "config": {"url": "http://h/"}, "timeout_seconds": 1e30},
    {"name": "x", "type": "webhook", "executor": "webhook", "config": {"url": "http://h/"}, "timeout_seconds": True},
    {"name": "x", "type": "webhook", "executor": "webhook", "config": {"url": "http://h/"}, "id": "../../etc"},
    {"name": "x", "type": "webhook", "executor": "webhook", "config": {"url": "http://h/"}, "id": "executions"},
    {"name": "x", "type": "webhook", "executor": "webhook", "config": {"url": "http://h/"}, "id": {}},
    {"name": "x", "type": "webhook", "executor": "webhook", "config": {"url": "http://h/"}, "versoin": "1.0.0"},
    {"name": "x", "type": "webhook", "executor": "webhook", "config": {"url": "http://h/"}, "version": 1},
    {"name": "x", "type": "webhook", "executor": "webhook", "config": {"url": "http://h/"}, "tags": "a"},
    {"name": "x", "type": "webhook", "executor": "webhook", "config": {"url": "http://h/"}, "enabled": "no"},
    {"name": "x", "type": "webhook", "executor": "webhook", "config": {"url": "http://h/", "headers": [1]}},
    {"name": "x", "type": "script", "executor": "local", "config": {"interpreter": [], "script": {}}},
    {"name": "x", "type": "notification", "executor": "notification", "config": {"channel": {}}},
    {"name": "x", "type": "approval", "executor": "approval", "config": {"timeout_minutes": "soon"}},
]


@pytest.mark.parametrize("definition", DEFINITIONS, ids=json.dumps)
def test_a_nonsensical_definition_is_a_bad_request(door: Door, action: str, definition: Any) -> None:
    """Creating and replacing name the faults; validating names the same ones and answers 200."""
    faults = assert_problem(door.call("POST", "/api/actions", json=definition), 400)["errors"]
    assert faults
    verdict = door.call("POST", "/api/actions/validate", json=definition)
    assert verdict.status_code == 200
    if definition.get("id") != "executions":
        assert verdict.json["valid"] is False
        assert [fault["pointer"] for fault in verdict.json["errors"]] == [fault["pointer"] for fault in faults]
    assert_problem(door.call("PUT", action, json=definition), 400)


def test_validation_names_the_place_twice(door: Door) -> None:
    """Each fault of a definition has a JSON path, a JSON pointer and a message; a sound one has no faults."""
    definition = {
        "name": "x",
        "type": "webhook",
        "executor": "webhook",
        "config": {"url": "http://127.0.0.1:9/"},
        "parameters": [{"name": "a", "type": "text"}],
    }
    fault = door.call("POST", "/api/actions/validate", json=definition).json["errors"][0]
    assert (fault["path"], fault["pointer"]) == ("$.parameters[0].type", "/parameters/0/type")
    assert "Invalid parameter type 'text'" in fault["message"]
    definition["parameters"] = []
    sound = door.call("POST", "/api/actions/validate", json=definition)
    assert sound.json == {"valid": True, "warnings": [], "errors": []}


@pytest.mark.parametrize(
    "query",
    [
        *("page=0", "page=-1", "page=x", "page=1e3", "page=", "page=99999999999999999999", "per_page=0"),
        *(
            "per_page=101",
            "type=none",
            "executor=x,y",
            "executor=",
            "type=,",
            "enabled=maybe",
            "sort_by=secret",
            "sort_order=up",
        ),
        *("search=", "search=%00", "colour=red", "page[]=1", "search=" + "x" * 201),
    ],
)
def test_a_nonsensical_query_of_actions_is_a_bad_request(door: Door, query: str) -> None:
    """Values out of range, unknown parameters and what cannot be stored are 400, and the parameter is named."""
    problem = assert_problem(door.call("GET", f"/api/actions?{query}"), 400)
    assert problem["errors"][0]["pointer"].startswith("/query/")


@pytest.mark.parametrize(
    "query",
    [
        *(
            "status=done",
            "status=completed,",
            "status=",
            "action_id=%00",
            "target=%00",
            "from=yesterday",
            "to=2026-13-01",
        ),
        *("from=0001-01-01T00:00:00%2B14:00x", "from=", "wait=1", "status="),
    ],
)
def test_a_nonsensical_query_of_executions_is_a_bad_request(door: Door, query: str) -> None:
    """As with actions."""
    assert_problem(door.call("GET", f"/api/actions/executions?{query}"), 400)


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00", "2026-01-01"])
def test_the_ends_of_time_are_times(door: Door, moment: str) -> None:
    """Any date of the calendar may bound a list."""
    answer = door.call("GET", f"/api/actions/executions?from={moment}&to={moment}")
    assert answer.status_code in (200, 400), answer.text


@pytest.mark.parametrize("wait", ["-1", "31", "x", "nan", "inf", ""])
def test_a_nonsensical_wait_is_a_bad_request(door: Door, action: str, wait: str) -> None:
    """Waiting is from 0 to 30 seconds."""
    execution_id = door.trigger(action.rpartition("/")[2], parameters={"host": "x"})
    assert_problem(door.call("GET", f"/api/actions/executions/{execution_id}?wait={wait}"), 400)


def test_a_query_where_none_belongs_is_refused(door: Door, action: str) -> None:
    """``?dry_run=true`` on a trigger would else be passed over and the action performed."""
    answer = door.call("POST", f"{action}/trigger?dry_run=true", json={"parameters": {"host": "x"}})
    assert assert_problem(answer, 400)["errors"][0]["pointer"] == "/query/dry_run"


@pytest.mark.parametrize(
    "name",
    [
        *("..", "%2e%2e", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "a%00b", "%00", "a%2fb", "%ff%fe", "a b", "'", "-x", "ä"),
        *("x" * 129, "x" * 5000, "{id}", "<script>", "%F0%9F%94%A5", "act;drop", "act%0d%0aX:1"),
    ],
)
def test_odd_ids_name_nothing(door: Door, name: str) -> None:
    """No path reaches anything but what it names: 404 (or 405 where it happens to name another place)."""
    for path in (f"/api/actions/{name}", f"/api/actions/executions/{name}", f"/api/keys/{name}"):
        assert assert_problem(door.call("GET", path))["status"] in (404, 405)
    assert_problem(door.call("POST", f"/api/actions/{name}/trigger", json={"parameters": {}}), 404)


@pytest.mark.parametrize("path", ["/index.html", "/api/nothing", "/v1", "/v2", "/docs/../api/x"])
def test_unknown_paths_are_not_found(door: Door, path: str) -> None:
    """Every unknown path has the one error body."""
    assert_problem(door.call("GET", path))


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "PROPFIND", "X", "GETT"])
def test_odd_methods_are_not_allowed(door: Door, method: str) -> None:
    """A method that a path does not know is 405, and Allow says which it knows."""
    answer = door.call(method, "/api/actions")
    assert_problem(answer, 405)
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "POST", "OPTIONS"}


def test_head_and_options_are_harmless(door: Door, action: str) -> None:
    """HEAD answers as GET without a body; OPTIONS lists the methods for every caller."""
    head = door.call("HEAD", action)
    assert (head.status_code, head.data) == (200, b"")
    options = door.call("OPTIONS", action, key=None)
    assert options.status_code == 200
    assert set(options.headers["Allow"].split(", ")) == {"GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"}


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", 'a"b', "a\tb", "ä"])
def test_odd_request_ids_are_replaced(door: Door, given: str) -> None:
    """A request id that could harm a log is not taken; a plain one is, and comes back."""
    answer = door.call("GET", "/api/nothing", headers={"X-Request-Id": given})
    assert assert_problem(answer, 404)["request_id"] != given
    answer = door.call("GET", "/api/nothing", headers={"X-Request-Id": "alert-4711"})
    assert assert_problem(answer, 404)["request_id"] == "alert-4711"


@pytest.mark.parametrize("key", ["", "x" * 256, "caf\u00e9", "a\x7fb", "tab\there"])
def test_odd_idempotency_keys_are_refused(door: Door, action: str, key: str) -> None:
    """An Idempotency-Key is 1 to 255 printable ASCII characters."""
    headers = {"Idempotency-Key": key}
    answer = door.call("POST", f"{action}/trigger", json={"parameters": {"host": "x"}}, headers=headers)
    assert_problem(answer, 400)


@pytest.mark.parametrize(
    "value", ["Bearer", "Bearer ", "Basic eDp5", "Bearer tcn__", "Bearer tcn_a_b", "Bearer \u00e9", "bearer x y", "tcn"]
)
def test_odd_authorisations_are_unauthorised(door: Door, value: str) -> None:
    """Whatever stands in Authorization, what is no key is 401 with a challenge."""
    answer = door.call("GET", "/api/actions", key=None, headers={"Authorization": value})
    assert_problem(answer, 401)
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "body",
    [
        *({}, {"name": ""}, {"name": 7}, {"name": "x", "role": "root"}, {"name": "x", "scopes": "admin"}),
        *({"name": "x", "scopes": ["fly"]}, {"name": "x", "expires_at": "soon"}, {"name": "x", "expires_at": 7}),
        *({"name": "x", "expires_at": "2026-01-01T00:00:00"}, {"name": "x", "expires_at": "2020-01-01T00:00:00Z"}),
        *({"name": "x", "role": "viewer", "scopes": ["write:actions"]}, {"name": "x", "key": "mine"}),
    ],
    ids=json.dumps,
)
def test_a_nonsensical_key_is_a_bad_request(door: Door, body: Any) -> None:
    """A key is made from a valid request only."""
    assert_problem(door.call("POST", "/api/keys", json=body), 400)


def test_unforeseen_errors_are_described_in_the_log_only(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unforeseen error is a 500 with the one body, and reveals no internals."""

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("/secret/path: connection to 10.0.0.5 failed")

    monkeypatch.setattr("store.definitions.actions.search", broken)
    answer = door.call("GET", "/api/actions")
    assert answer.status_code == 500
    assert answer.content_type == "application/problem+json"
    assert "secret" not in answer.text
    assert "10.0.0.5" not in answer.text


@pytest.mark.parametrize(
    ("charset", "status"), [("utf-8", 202), ('"UTF8"', 202), ("us-ascii", 202), ("latin-1", 415), ("utf-16", 415)]
)
def test_only_utf_8_is_read(door: Door, action: str, charset: str, status: int) -> None:
    """A body that declares another charset is refused before it is misread."""
    headers = {"Content-Type": f"application/json; charset={charset}"}
    answer = door.call("POST", f"{action}/trigger", data=b'{"parameters": {"host": "x"}}', headers=headers)
    assert answer.status_code == status, answer.text
    if status == 415:
        assert "UTF-8" in assert_problem(answer, 415)["detail"]
