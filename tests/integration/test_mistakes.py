"""A mistake, and the help that its answer gives: the table of what people get wrong.

Each row has a request as a newcomer sends it, and the words that its answer must have: what is wrong, where, and what
to write instead. The engine's and the framework's own texts must not come back.
"""

import json
from typing import Any, NamedTuple

import pytest

from store.definitions import actions
from store.engine import db
from tests.support.api import Door

#: texts of libraries, which help nobody
FOREIGN = (
    "Unknown field",
    "Missing data",
    "Not a valid",
    "Must be greater",
    "Must be one of:",
    "The requested URL",
    "for the requested URL",
    "data value transmitted",
    "is not acceptable",
    "starts here",
    "Syntax error",
    "Traceback",
)


class Mistake(NamedTuple):
    """A request, its status, and what its answer says, at a pointer."""

    request: str
    body: Any
    status: int
    says: tuple[str, ...]
    pointer: str | None = None


def playbook(**members: Any) -> dict[str, Any]:
    """A playbook with a fault in ``members``."""
    return {"name": "Any", "steps": [{"id": "a", "type": "delay", "seconds": 1}], **members}


def asking(expression: str, **members: Any) -> dict[str, Any]:
    """A playbook whose one condition is ``expression``."""
    declared = [{"name": "n", "type": "integer"}, {"name": "name"}, {"name": "sure", "type": "boolean"}]
    steps = [{"id": "ask", "type": "condition", "expression": expression}]
    return playbook(parameters=declared, steps=steps, **members)


def step(**members: Any) -> dict[str, Any]:
    """A playbook whose one step has ``members``."""
    return playbook(steps=[{"id": "a", **members}])


def action(**config: Any) -> dict[str, Any]:
    """A webhook action with this config."""
    return {"name": "Any", "type": "webhook", "executor": "webhook", "config": {"url": "https://example.com", **config}}


def schedule(cron: str) -> dict[str, Any]:
    """A playbook with a schedule."""
    return playbook(trigger={"event": "schedule", "cron": cron})


def sent(**members: Any) -> dict[str, Any]:
    """A dispatch with ``members``."""
    return {"namespace": "n", "tenant": "default", "provider": "p", "action_type": "a", "payload": {}, **members}


DISPATCH = "POST /v1/dispatch"
PLAYBOOKS, ACTIONS = "POST /api/playbooks", "POST /api/actions"
_EXPRESSION = "/steps/0/expression"

TABLE = {
    # schedules, templates
    "a minute out of range": Mistake(
        PLAYBOOKS, schedule("61 * * * *"), 400, ("minute 61 is out of range 0-59",), "/trigger/cron"
    ),
    "a day that no month has": Mistake(
        PLAYBOOKS, schedule("0 0 30 2 *"), 400, ("never occurs", "day 30 in month 2"), "/trigger/cron"
    ),
    "words for a schedule": Mistake(
        PLAYBOOKS, schedule("every 5 minutes"), 400, ("five fields", "0 8 * * 1"), "/trigger/cron"
    ),
    "a filter of another language": Mistake(
        ACTIONS, action(body={"a": "{{ target | uppercase }}"}), 400, ("did you mean 'upper'?",), "/config/body/a"
    ),
    "a template that is not closed": Mistake(
        ACTIONS, action(body={"a": "{{ target }"}), 400, ("'{{' is not closed: write {{ target }}",), "/config/body/a"
    ),
    "an empty template": Mistake(
        ACTIONS,
        action(body={"a": "x {{ }}"}),
        400,
        ("'{{ }}' is empty: put a name in it, such as {{ finding.title }}",),
        "/config/body/a",
    ),
    "the whole name of a day": Mistake(
        PLAYBOOKS, schedule("0 8 * * MONDAY"), 400, ("'MONDAY' is no day: write MON or 1",), "/trigger/cron"
    ),
    "a statement in a template": Mistake(
        ACTIONS, action(body={"a": "{% if target %}"}), 400, ("statements", "{{ a.b.c }}"), "/config/body/a"
    ),
    # conditions
    "a single equals sign": Mistake(
        PLAYBOOKS, asking("name = 1"), 400, ("'=' at column 6: compare with '=='",), _EXPRESSION
    ),
    "a word for a sign": Mistake(PLAYBOOKS, asking("sure and true"), 400, ("use && for and",), _EXPRESSION),
    "a number compared with text": Mistake(
        PLAYBOOKS, asking("n == '5'"), 400, ("'n' holds a number", "is never true: write n == 5"), _EXPRESSION
    ),
    "text compared with a number": Mistake(
        PLAYBOOKS, asking("parameters.name > 5"), 400, ("write int(parameters.name) > 5",), _EXPRESSION
    ),
    "a boolean compared with text": Mistake(
        PLAYBOOKS, asking("sure == 'true'"), 400, ("write sure == true",), _EXPRESSION
    ),
    "a number as a condition": Mistake(PLAYBOOKS, asking("n"), 400, ("not true or false", "n > 0"), _EXPRESSION),
    "a text as a list": Mistake(PLAYBOOKS, asking("'a' in name"), 400, ("name.contains('a')",), _EXPRESSION),
    "None for null": Mistake(PLAYBOOKS, asking("name == None"), 400, ("did you mean 'null'?",), _EXPRESSION),
    "a function of another language": Mistake(
        PLAYBOOKS, asking("len(name) > 1"), 400, ("did you mean 'size'?",), _EXPRESSION
    ),
    "two values without a sign": Mistake(
        PLAYBOOKS, asking("name name"), 400, ("column 6: 'name' is not expected here",), _EXPRESSION
    ),
    "a quote that is not closed": Mistake(PLAYBOOKS, asking("name == 'a"), 400, ("is not closed",), _EXPRESSION),
    # steps
    "a synonym of delay": Mistake(PLAYBOOKS, step(type="wait"), 400, ("did you mean 'delay'?",), "/steps/0/type"),
    "a synonym of action": Mistake(PLAYBOOKS, step(type="http"), 400, ("did you mean 'action'?",), "/steps/0/type"),
    "a synonym of condition": Mistake(PLAYBOOKS, step(type="if"), 400, ("did you mean 'condition'?",), "/steps/0/type"),
    "a synonym of for_each": Mistake(
        PLAYBOOKS, step(type="foreach"), 400, ("did you mean 'for_each'?",), "/steps/0/type"
    ),
    "a duration in words": Mistake(
        PLAYBOOKS, step(type="delay", duration="5 minutes"), 400, ("'30s', '5m'",), "/steps/0/duration"
    ),
    "another spelling of a reference": Mistake(
        PLAYBOOKS, step(type="action", action="act-cal"), 400, ("did you mean 'act-call'?",), "/steps/0/action"
    ),
    "a step's member by another name": Mistake(
        PLAYBOOKS, step(type="action", action_ref="act-call", params={}), 400, ("'parameters'?",), "/steps/0/params"
    ),
    "retry by other names": Mistake(
        PLAYBOOKS,
        step(type="action", action_ref="act-call", retry={"retries": 3}),
        400,
        ("did you mean 'max_attempts'?",),
        "/steps/0/retry/retries",
    ),
    "a member of a branch": Mistake(
        PLAYBOOKS,
        step(type="parallel", branches=[{"stepps": [], "steps": [{"id": "b", "type": "delay", "seconds": 1}]}]),
        400,
        ("did you mean 'steps'?",),
        "/steps/0/branches/0/stepps",
    ),
    "an event without a dot": Mistake(
        PLAYBOOKS, playbook(trigger="finding"), 400, ("has a dot", "finding.new", "'finding.*'"), "/trigger"
    ),
    "a trigger by another word": Mistake(
        PLAYBOOKS, playbook(trigger="cron"), 400, ("did you mean 'schedule'?",), "/trigger"
    ),
    "a trigger's event by another word": Mistake(
        PLAYBOOKS,
        playbook(trigger={"type": "schedule", "cron": "0 8 * * 1"}),
        400,
        ("did you mean 'event'?", "event, conditions, cron, timezone"),
        "/trigger/type",
    ),
    "an executor by the language": Mistake(
        ACTIONS, {**action(), "executor": "bash"}, 400, ("did you mean 'local'?",), "/executor"
    ),
    "an executor by the protocol": Mistake(
        ACTIONS, {**action(), "executor": "http"}, 400, ("did you mean 'webhook'?",), "/executor"
    ),
    "a parameter that is like no other": Mistake(
        "POST /api/actions/act-call/trigger",
        {"parameters": {"xyz": 1}},
        422,
        ("'xyz' is not a parameter; there are ip",),
        "/parameters/xyz",
    ),
    "a playbook's member by another name": Mistake(
        PLAYBOOKS, playbook(labels=["x"]), 400, ("did you mean 'tags'?",), "/labels"
    ),
    # actions
    "a time-out inside config": Mistake(
        ACTIONS, action(timeout=-1), 400, ("the action's own 'timeout_seconds'",), "/config/timeout"
    ),
    "retries inside config": Mistake(
        ACTIONS, action(retries=1_000_000_000), 400, ("the action's own 'retry.max_attempts'",), "/config/retries"
    ),
    "a member of config by another name": Mistake(
        ACTIONS, action(payload={}), 400, ("did you mean 'body'?", "url, method"), "/config/payload"
    ),
    "a channel by another name": Mistake(
        ACTIONS,
        {"name": "A", "type": "notification", "executor": "notification", "config": {"kind": "mail"}},
        400,
        ("did you mean 'email'?",),
        "/config/kind",
    ),
    "retry of an action by other names": Mistake(
        ACTIONS, {**action(), "retry": {"backoff": 3}}, 400, ("did you mean 'backoff_seconds'?",), "/retry/backoff"
    ),
    "an action's member misspelt": Mistake(
        ACTIONS, {**action(), "timout_seconds": 3}, 400, ("did you mean 'timeout_seconds'?",), "/timout_seconds"
    ),
    # triggering and running
    "a required parameter left out": Mistake(
        "POST /api/actions/act-call/trigger", {}, 422, ("'ip' is required",), "/parameters/ip"
    ),
    "a parameter next to parameters": Mistake(
        "POST /api/actions/act-call/trigger",
        {"ip": "203.0.113.9"},
        400,
        ("'ip' is a parameter of this action: put it under \"parameters\"",),
        "/ip",
    ),
    "a run's parameter next to parameters": Mistake(
        "POST /api/playbooks/pb-run/run", {"host": "x"}, 400, ("'host' is a parameter of this playbook",), "/host"
    ),
    "parameters by another name": Mistake(
        "POST /api/actions/act-call/trigger", {"params": {}}, 400, ("did you mean 'parameters'?",), "/params"
    ),
    "a parameter misspelt": Mistake(
        "POST /api/playbooks/pb-run/run",
        {"parameters": {"hots": "x"}},
        422,
        ("did you mean 'host'?",),
        "/parameters/hots",
    ),
    "a body without its type": Mistake(
        "POST /api/actions/act-call/trigger", b'{"parameters": {}}', 415, ("Content-Type: application/json",)
    ),
    "a body that is too large": Mistake(
        "POST /api/actions/act-call/trigger", b"x" * 2_000_008, 413, ("2,000,008 bytes", "1,048,576")
    ),
    # dispatches
    "labels next to metadata": Mistake(DISPATCH, sent(labels={"a": "b"}), 400, ("labels go into metadata",), "/labels"),
    "a dry run in the body": Mistake(DISPATCH, sent(dry_run=True), 400, ("the query: ?dry_run=true",), "/dry_run"),
    "the type of a dispatch": Mistake(DISPATCH, sent(type="x"), 400, ("did you mean 'action_type'?",), "/type"),
    "the channel of a dispatch": Mistake(DISPATCH, sent(channel="x"), 400, ("mean 'provider'?",), "/channel"),
    "a list of labels": Mistake(
        DISPATCH,
        sent(metadata={"labels": ["a"]}),
        400,
        ("labels must be an object of names and texts",),
        "/metadata/labels",
    ),
    "a batch by another word": Mistake(
        f"{DISPATCH}/batch",
        {"dispatches": [sent()]},
        400,
        ("'dispatches' is not known: send {\"actions\": [...]} or the list alone",),
        "/dispatches",
    ),
    "one dispatch as a batch": Mistake(
        f"{DISPATCH}/batch",
        sent(),
        400,
        ("this is one dispatch: send it to /v1/dispatch, or in a list",),
        "/provider",
    ),
    # paths, methods, queries
    "a path misspelt": Mistake(
        "GET /api/playbook", None, 404, ("no path /api/playbook", "did you mean /api/playbooks?", "/docs")
    ),
    "a word of the API where an id belongs": Mistake(
        "GET /api/actions/simulate",
        None,
        404,
        ("no path /api/actions/simulate", "did you mean /api/actions?"),
    ),
    "a path of another product": Mistake("GET /api/playbooks/runs", None, 404, ("'runs'",)),
    "runs at the top": Mistake(
        "GET /api/runs/pexec-1", None, 404, ("did you mean /api/playbooks/executions/pexec-1?",)
    ),
    "executions at the top": Mistake(
        "GET /api/executions", None, 404, ("/api/actions/executions or /api/playbooks/executions",)
    ),
    "one execution at the top": Mistake(
        "GET /api/execution", None, 404, ("/api/actions/executions or /api/playbooks/executions",)
    ),
    "a circuit breaker by its state": Mistake(
        "POST /v1/circuit-breakers/mail/open", {}, 404, ("did you mean /admin/circuit-breakers/mail/trip?",)
    ),
    "a rule by itself": Mistake(
        "PUT /v1/rules/night", {}, 404, ("did you mean /v1/rules/night/enabled or /v1/rules?",)
    ),
    "a provider by itself": Mistake("GET /v1/providers/mail", None, 404, ("or /v1/providers?",)),
    "a method that an open path lacks": Mistake(
        "GET /v1/auth/login", None, 405, ("GET is not possible here: /v1/auth/login takes POST.",)
    ),
    "a playbook's id misspelt": Mistake("GET /api/playbooks/pb-rnu", None, 404, ("did you mean 'pb-run'?",)),
    "an action's id misspelt": Mistake("POST /api/actions/act-cal/trigger", {}, 404, ("did you mean 'act-call'?",)),
    "a path without /api": Mistake("GET /playbooks", None, 404, ("did you mean /api/playbooks?",)),
    "a method that a path lacks": Mistake(
        "DELETE /api/actions/executions/exec-1", None, 405, ("takes GET", "POST …/cancel")
    ),
    "a filter that there is not": Mistake(
        "GET /api/playbooks/executions?search=x",
        None,
        400,
        ("no filter 'search'", "status", "trigger"),
        "/query/search",
    ),
    "a filter misspelt": Mistake(
        "GET /api/actions?executr=webhook", None, 400, ("did you mean 'executor'?",), "/query/executr"
    ),
    "a status that there is not": Mistake(
        "GET /api/playbooks/executions?status=complete", None, 400, ("did you mean 'completed'?",)
    ),
    "a wait that is too long": Mistake(
        "GET /api/actions/executions/exec-1?wait=900", None, 400, ("must be from 0 to 30",), "/query/wait"
    ),
    # keys
    "an unknown scope": Mistake(
        "POST /api/keys",
        {"name": "x", "scopes": ["actions:trigger"]},
        400,
        ("is none of admin, decide:approvals, dispatch, execute:actions", "did you mean 'execute:actions'?"),
        "/scopes/0",
    ),
    "a longer word for a role": Mistake(
        "POST /api/keys", {"name": "x", "role": "administrator"}, 400, ("did you mean 'admin'?",), "/role"
    ),
    "an unknown role": Mistake(
        "POST /api/keys", {"name": "x", "role": "operater"}, 400, ("did you mean 'operator'?",), "/role"
    ),
}


@pytest.fixture
def door(sqlite_database: str) -> Door:
    """The application with an action and a playbook."""
    made = Door()
    declared = [{"name": "ip", "required": True}]
    for path, body in (
        ("/api/actions", {**action(body={"ip": "{{ ip }}"}), "id": "act-call", "parameters": declared}),
        ("/api/playbooks", playbook(id="pb-run", parameters=[{"name": "host"}])),
    ):
        answer = made.call("POST", path, json=body)
        assert answer.status_code == 201, answer.text
    return made


@pytest.mark.parametrize("name", TABLE)
def test_the_answer_to_a_mistake_helps(door: Door, name: str) -> None:
    """The answer names the mistake, its place, and what to write instead."""
    mistake = TABLE[name]
    method, path = mistake.request.split(" ", 1)
    sent = {"data": mistake.body} if isinstance(mistake.body, bytes) else {"json": mistake.body}
    if isinstance(mistake.body, bytes) and mistake.status != 415:
        sent["headers"] = {"Content-Type": "application/json"}
    answer = door.call(method, path, **(sent if mistake.body is not None else {}))
    assert answer.status_code == mistake.status, answer.text
    problem = answer.get_json()
    told = [problem["detail"], *(one["detail"] for one in problem["errors"])]
    if mistake.pointer is not None:
        found = [one["detail"] for one in problem["errors"] if one["pointer"] == mistake.pointer]
        assert found, (mistake.pointer, problem["errors"])
        told = found
    missing = [words for words in mistake.says if not any(words in text for text in told)]
    assert not missing, (missing, told)
    assert not [text for text in FOREIGN if text in answer.text], answer.text


def test_an_action_for_an_agent_says_that_there_is_none(door: Door) -> None:
    """The answer to its creation warns, a trigger answers 409, and a playbook with it is warned of."""
    body = {"name": "Agent", "type": "containment", "executor": "opservant", "config": {"anything": 1}}
    made = door.call("POST", "/api/actions", json=body)
    assert made.status_code == 201
    (warning,) = made.json["warnings"]
    assert warning["pointer"] == "/executor"
    assert "No agent is connected" in warning["detail"]
    refused = door.call("POST", "/api/actions/act-agent/trigger", json={})
    assert (refused.status_code, refused.json["code"]) == (409, "no_agent")
    checked = door.call("POST", "/api/playbooks/validate", json=step(type="action", action_ref="act-agent")).json
    assert [one for one in checked["warnings"] if "needs an agent" in one["message"]]


def test_an_action_with_an_older_config_can_still_be_changed_elsewhere(door: Door) -> None:
    """What earlier versions took without a word stays readable, can run and be renamed; a new config is checked."""
    with db.write() as connection:
        table = actions.action_revisions
        (row,) = connection.execute(table.select()).all()
        stored = json.loads(row.definition)
        stored["config"]["retries"] = 7
        changed = table.update().where(table.c.id == row.id).values(definition=json.dumps(stored))
        connection.execute(changed)
    assert door.call("GET", "/api/actions/act-call").json["data"]["config"]["retries"] == 7
    assert door.trigger("act-call", parameters={"ip": "203.0.113.9"})
    for change in ({"name": "Renamed"}, {"enabled": False}):
        assert door.call("PATCH", "/api/actions/act-call", json=change).status_code == 200
    for change in ({"name": ""}, {"config": stored["config"]}):
        assert door.call("PATCH", "/api/actions/act-call", json=change).status_code == 400
