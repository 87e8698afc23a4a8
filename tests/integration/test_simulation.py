"""``/v1/rules/simulate`` and ``/v1/rules/coverage``: what they answer, refuse, and leave alone."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import sqlalchemy as sa
import yaml

from gateway.configuration.folder import load
from store.engine import db
from store.gateway.payloads import payloads
from store.records import notes
from tasks.attempts import action as attempts
from tasks.offload import pool
from tasks.simulation import simulate
from tests.support import dispatching, odd_values, simulating
from tests.support.api import Door, assert_problem, carry_out
from tests.support.dispatching import body, send
from tests.support.gateway_folder import AROUND

RULES: list[dict[str, Any]] = [
    {"name": "hush", "condition": {"field": "action.action_type", "eq": "quiet"}, "action": {"type": "suppress"}},
    {
        "name": "once",
        "condition": {"field": "action.action_type", "eq": "once"},
        "action": {"type": "deduplicate", "ttl_seconds": 300},
    },
    {
        "name": "few",
        "condition": {"field": "action.action_type", "eq": "few"},
        "action": {"type": "throttle", "max_count": 2, "window_seconds": 300},
    },
    {
        "name": "away",
        "condition": {"field": "action.action_type", "eq": "away"},
        "action": {"type": "reroute", "target_provider": "other"},
    },
    {
        "name": "gather",
        "condition": {"field": "action.action_type", "eq": "gather"},
        "action": {"type": "group", "group_by": ["action.namespace"]},
    },
    {
        "name": "move",
        "condition": {"field": "action.action_type", "eq": "down"},
        "action": {"type": "state_machine", "state_machine": "alert"},
    },
    {
        "name": "chained",
        "condition": {"field": "action.action_type", "eq": "chained"},
        "action": {"type": "chain", "chain_name": "one"},
    },
    {
        "name": "pressed",
        "origins": ["trigger"],
        "condition": {"field": "action.metadata.target", "eq": "web-1"},
        "action": {"type": "throttle", "max_count": 1, "window_seconds": 300},
    },
    {"name": "never", "condition": {"field": "action.action_type", "eq": "unheard"}, "action": {"type": "deny"}},
]
_TEST = {"name": "no-tests", "condition": {"field": "action.metadata.env", "eq": "test"}, "action": {"type": "deny"}}


@pytest.fixture(autouse=True, scope="module")
def no_processes_left() -> Iterator[None]:
    """The offload processes end with the tests."""
    yield
    pool.end()


@pytest.fixture
def gate(database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Door]:
    """The application on each kind of database, with rules of most kinds; no request waits for an end."""
    monkeypatch.setenv("TOCSIN_DISPATCH_WAIT", "0")
    made = Door()
    texts = {"providers": simulating.PROVIDERS, "state_machines": simulating.MACHINES, "chains": simulating.CHAINS}
    dispatching.put_in_force(monkeypatch, tmp_path, **texts, rules=yaml.safe_dump({"rules": RULES}))
    yield made
    dispatching.forget()


def simulated(door: Door, rules: Any = None, **more: Any) -> dict[str, Any]:
    """The answer to a simulation of the last day."""
    given = {**more, **({} if rules is None else {"rules": rules})}
    answer = door.call("POST", "/v1/rules/simulate", json=given)
    assert answer.status_code == 200, answer.text
    return answer.json


def changes(found: dict[str, Any]) -> dict[tuple[str, str], int]:
    """Before and after → how many are decided otherwise."""
    return {(row["before"], row["after"]): row["count"] for row in found["changes"] if row["changed"]}


def some(door: Door) -> None:
    """Dispatches of all kinds, and triggers, carried out."""
    for name in ("quiet", "once", "once", "few", "few", "few", "away", "gather", "chained", "plain", "plain"):
        answer = send(door, body(action_type=name, metadata={"env": "test"} if name == "plain" else {})).json
        if answer["outcome"] == "accepted":
            attempts.attempt(answer["execution_id"])
    send(door, body(action_type="down", fingerprint="f", status="firing"))
    action = door.create(name="Look")["id"]
    for target in ("web-1", "web-1", "web-2"):
        answer = door.call("POST", f"/api/actions/{action}/trigger", json={"target": target}).json["data"]
        if answer["status"] == "pending":
            carry_out(answer["execution_id"])


def test_the_rules_in_force_decide_as_they_did(gate: Door) -> None:
    """Nothing changes where the rules are those of then, whatever they remember, move or send elsewhere."""
    some(gate)
    found = simulated(gate)
    assert changes(found) == {}
    assert (found["changed"], found["by_another_rule"], found["undecided"]) == (0, 0, [])
    assert {row["before"]: row["count"] for row in found["changes"]} == {
        "suppress": 1,
        "deduplicate": 1,
        "deduplicated": 1,
        "throttle": 3,
        "throttled": 2,
        "reroute": 1,
        "group": 1,
        "state_machine": 1,
        "chain": 1,
        "allow": 3,
    }
    once = next(rule for rule in found["rules"] if rule["name"] == "once")
    assert once == {"name": "once", "matched": 2, "decides": 2, "decided_before": 2}
    assert (found["complete"], found["ended_at"], found["rules_tried"]) == (True, None, len(RULES))


def test_changes_say_what_would_have_become_of_what_came(gate: Door) -> None:
    """Rules that are added, replaced and removed: counts, examples, and where it would go."""
    some(gate)
    reroute = {**RULES[3], "action": {"type": "reroute", "target_provider": "broken"}}
    found = simulated(gate, {"add": [{**_TEST, "priority": -1}], "replace": [reroute], "remove": ["hush"]})
    assert changes(found) == {("allow", "deny"): 2, ("reroute", "reroute"): 1, ("suppress", "allow"): 1}
    [denied] = [row for row in found["changes"] if row["after"] == "deny"]
    record = gate.call("GET", f"/v1/audit/{denied['examples'][0]['action_id']}").json
    assert record["id"] == denied["examples"][0]["record_id"]
    assert (denied["examples"][0]["before_rule"], denied["examples"][0]["after_rule"]) == (None, "no-tests")
    [sent] = [row for row in found["changes"] if row["after"] == "reroute"]
    assert (sent["before_to"], sent["after_to"]) == ("other", "broken")
    assert simulated(gate, [])["rules_tried"] == 0
    assert changes(simulated(gate, RULES)) == {}


def test_large_payloads_are_read(gate: Door) -> None:
    """What a list would leave out is decided all the same, whether it went out or not."""
    large = {"text": "x" * 40_000, "host": "web-1"}
    send(gate, body(action_type="quiet", payload=large))
    attempts.attempt(send(gate, body(action_type="plain", payload=large)).json["execution_id"])
    rule = {"name": "host", "condition": {"field": "action.payload.host", "eq": "web-1"}, "action": {"type": "deny"}}
    assert changes(simulated(gate, [rule])) == {("suppress", "deny"): 1, ("allow", "deny"): 1}


def test_nothing_is_written(gate: Door, database: str) -> None:
    """The database counts no change: SQLite none by any connection to the file, PostgreSQL none to any row."""
    some(gate)
    with db.engine().connect() as watching:
        before = _written(watching, database)
        simulated(gate, {"add": [_TEST], "remove": ["once"]})
        simulated(gate)
        gate.call("GET", "/v1/rules/coverage")
        assert _written(watching, database) == before


def _written(watching: Any, kind: str) -> Any:
    """What the database itself counts of changes, and the rows of each table."""
    if kind == "sqlite":  # changed by any commit of another connection
        return watching.execute(sa.text("PRAGMA data_version")).scalar_one(), _rows(watching)
    with db.read() as connection:  # each connection counts for itself until it is told to flush
        connection.execute(sa.text("SELECT pg_stat_force_next_flush()"))
    watching.execute(sa.text("SELECT pg_stat_clear_snapshot()"))
    counted = "SELECT relname, n_tup_ins, n_tup_upd, n_tup_del FROM pg_stat_user_tables ORDER BY relname"
    return [tuple(row) for row in watching.execute(sa.text(counted))], _rows(watching)


def _rows(connection: Any) -> dict[str, int]:
    names = sa.inspect(connection).get_table_names()
    return {name: connection.execute(sa.text(f"SELECT count(*) FROM {name}")).scalar_one() for name in names}


def test_what_cannot_be_decided_is_named(gate: Door) -> None:
    """A body that is gone, one that was masked, what conditions ask about what the caller may not see: with why."""
    send(gate, body(action_type="quiet", payload={"password": "secret-word"}))
    send(gate, body(action_type="quiet"))
    gone = send(gate, body(action_type="quiet", payload={"kept": "no"})).json["action_id"]
    with db.write() as connection:
        assert connection.execute(sa.delete(payloads).where(payloads.c.subject == gone)).rowcount == 1
    found = simulated(gate)
    assert {one["code"]: one["count"] for one in found["undecided"]} == {"payload_gone": 1, "payload_masked": 1}
    record = gate.call("GET", f"/v1/audit/{gone}").json
    assert [record["id"]] == next(one["examples"] for one in found["undecided"] if one["code"] == "payload_gone")
    seen = {"name": "seen", "condition": {"state_seen": "unheard", "within_seconds": 60}, "action": {"type": "deny"}}
    assert "state_unknown" not in {one["code"] for one in simulated(gate, [seen])["undecided"]}
    limited = gate.key(grants=[{"tenants": ["default"], "namespaces": ["notifications"]}])
    blind = gate.call("POST", "/v1/rules/simulate", key=limited, json={"rules": [seen]}).json
    assert blind["decided"] == 0
    assert {one["code"]: one["count"] for one in blind["undecided"]}["state_unknown"] == 1


@pytest.mark.parametrize(
    "rules",
    [
        [{"name": "x", "condition": {"field": "action.provider", "eqq": "a"}, "action": {"type": "allow"}}],
        [{"name": "x", "condition": {"field": "action.provider", "eq": "a"}, "action": {"type": "chain"}}, 7],
        [{"name": "x", "action": {"type": "reroute", "target_provider": "unknown"}}],
        [{**_TEST, "time_zone": "UTC"}, _TEST],
        [_TEST, _TEST],
    ],
)
def test_faults_are_those_of_a_load(door: Door, rules: Any) -> None:
    """The same words at the same pointers; nothing is simulated."""
    answer = door.call("POST", "/v1/rules/simulate", json={"rules": rules})
    assert_problem(answer, 400)
    said = {(one["pointer"], one["detail"]) for one in answer.json["errors"]}
    loaded = load({"rules/a.yaml": yaml.safe_dump(json.loads(json.dumps({"rules": rules})))}, AROUND).faults
    expected = {tuple(fault.partition(" ")[2].split(": ", 1)) for fault in loaded}
    assert {pointer for pointer, _ in said} == {pointer for pointer, _ in expected}
    assert len(said) == len(expected)


@pytest.mark.parametrize(
    ("given", "pointer"),
    [
        ({"limit": 0}, "/limit"),
        ({"limit": 50_001}, "/limit"),
        ({"hours": 0}, "/hours"),
        ({"hours": 1, "from": "2026-01-01T00:00:00Z"}, "/hours"),
        ({"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}, "/to"),
        ({"from": "10000-01-01T00:00:00Z"}, "/from"),
        ({"rule": []}, "/rule"),
        ({"rules": "all"}, "/rules"),
        ({"rules": {"ad": []}}, "/rules/ad"),
        ({"rules": {"remove": ["unheard"]}}, "/rules/remove/0"),
        ({"rules": {"remove": "x"}}, "/rules/remove"),
        ({"rules": {"replace": [_TEST]}}, "/rules/replace/0/name"),
        ({"rules": {"add": {}}}, "/rules/add"),
        ({"rules": [{}] * 10_001}, "/rules"),
    ],
)
def test_what_is_wrong_is_named(door: Door, given: Any, pointer: str) -> None:
    """Each fault with its pointer."""
    answer = door.call("POST", "/v1/rules/simulate", json=given)
    assert_problem(answer, 400)
    assert pointer in {one["pointer"] for one in answer.json["errors"]}, answer.json


def test_no_value_anywhere_breaks_a_simulation(door: Door) -> None:
    """Each member of a request and of its rules, with any other value: a result, or a fault that is named."""
    given = {"rules": {"add": [dict(_TEST)], "remove": ["x"]}, "hours": 1, "limit": 5, "namespace": "n"}
    whole = {
        "rules": [*RULES[:4], {**_TEST, "priority": 1, "mode": "shadow", "tenants": ["a"], "origins": ["trigger"]}]
    }
    for one in (given, whole):
        for path, varied in odd_values.variations(one):
            answer = door.call("POST", "/v1/rules/simulate", json=varied)
            assert answer.status_code in (200, 400), (path, answer.text)


def test_rows_that_nobody_can_read_are_passed_over(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """One who rules the database can write anything: it is counted, and the others are decided."""
    monkeypatch.setenv("TOCSIN_DISPATCH_WAIT", "0")
    with db.write() as connection:
        for number, body_of_it in enumerate(('{"a": 1}', "{", "[]", b"\xff".decode("latin-1"))):
            note = notes.Note(
                workspace_id="default",
                caller="c",
                outcome="suppressed",
                namespace="n",
                provider="p",
                action_type="t",
                payload={},
                began_at=db.now_ms(),
                members={},
                id=f"disp-{number}",
            )
            notes.note(connection, note)
            change = sa.update(payloads).where(payloads.c.subject == f"disp-{number}")
            connection.execute(change.values(body=body_of_it))
        broken = "UPDATE payloads SET body = CAST(x'ff' AS TEXT) WHERE subject = 'disp-3'"
        connection.execute(sa.text(broken))
    looks = {"name": "looks", "condition": {"field": "action.payload.a", "eq": 1}, "action": {"type": "suppress"}}
    found = simulated(door, [looks])
    assert (found["decided"], {one["code"]: one["count"] for one in found["undecided"]}) == (1, {"unreadable": 3})
    assert found["rules"][0]["matched"] == 1


def test_a_simulation_is_bounded(gate: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its limit and by time: the answer says up to when it has come. Any time that can be written may be named."""
    some(gate)
    part = simulated(gate, limit=5)
    assert (part["records"], part["complete"]) == (5, False)
    assert part["ended_at"] is not None
    assert simulated(gate, **{"from": "0001-01-01T00:00:00Z", "to": "9999-12-31T23:59:59Z"})["complete"]
    assert simulated(gate, to="0001-01-01T00:00:00Z")["records"] == 0
    assert simulated(gate, **{"from": "9999-01-01T00:00:00Z"})["records"] == 0
    monkeypatch.setattr(simulate, "LONGEST", 0)
    timed = simulated(gate)
    assert (timed["decided"], timed["complete"]) == (0, False)


@pytest.mark.gate
def test_costly_rules_do_not_keep_the_loop(door: Door) -> None:
    """A thousand patterns in one rule are checked in another process, and compiled in turns."""
    each = [
        {"field": "action.payload.a", "regex": f"(?i)(\\w{{1,200}}\\W{{1,200}}x){number}"} for number in range(1_000)
    ]
    parts = [{"any": each[first : first + 200]} for first in range(0, 1_000, 200)]
    rule = {"name": "costly", "condition": {"any": parts}, "action": {"type": "deny"}}
    longest = []
    in_turn = pool.in_turn

    def timed(*given: Any, **more: Any) -> Any:
        began = time.process_time()
        try:
            return in_turn(*given, **more)
        finally:
            longest.append(time.process_time() - began)

    with mock.patch.object(pool, "in_turn", timed):
        assert simulated(door, [rule])["rules_tried"] == 1
    assert len(longest) > 10
    assert max(longest) < 0.5 * sum(longest)


def test_one_at_a_time(door: Door) -> None:
    """A second simulation in the same process is answered 503, to be sent again."""
    with simulate._under_way:
        answer = door.call("POST", "/v1/rules/simulate", json={})
    assert_problem(answer, 503)
    assert answer.json["retryable"]
    assert door.call("POST", "/v1/rules/simulate").status_code == 200


def test_tenants_see_their_own(gate: Door) -> None:
    """Only records that the grants cover are decided; rules of others are not known, and not to be changed."""
    gate.admin = gate.key(grants=[{"tenants": ["*"]}])
    send(gate, body(action_type="quiet"))
    send(gate, body(action_type="quiet", tenant="acme", metadata={"env": "test"}))
    acme = gate.key(grants=[{"tenants": ["acme"]}])
    limited = gate.key(grants=[{"tenants": ["acme"], "namespaces": ["other"]}])

    def seen(key: str, **given: Any) -> Any:
        return gate.call("POST", "/v1/rules/simulate", key=key, json=given)

    assert seen(gate.admin).json["decided"] == 2
    assert seen(gate.admin, tenant="acme").json["decided"] == 1
    assert seen(acme).json["decided"] == 1
    assert seen(limited).json["decided"] == 0
    assert_problem(seen(acme, tenant="default"), 403)
    assert seen(gate.admin, namespace="notifications").json["decided"] == 2
    assert seen(gate.admin, namespace="other").json["decided"] == 0


def test_coverage_names_what_no_rule_concerns(gate: Door) -> None:
    """Each combination that came, with how much of it rules concern; and the rules that nothing matches."""
    some(gate)
    found = gate.call("GET", "/v1/rules/coverage?hours=1").json
    covered = {one["action_type"]: (one["count"], one["covered"]) for one in found["combinations"]}
    assert covered["plain"] == (2, "none")
    assert covered["once"] == (2, "all")
    assert found["combinations"][0]["covered"] == "none"
    assert found["never_matched"] == ["never"]
    assert_problem(gate.call("GET", "/v1/rules/coverage?hours=0"), 400)
    assert_problem(gate.call("GET", "/v1/rules/coverage?tenant=foreign"), 403)
