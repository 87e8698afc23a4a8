"""``/v1/audit``: every filter, reading on, what it shows and to whom; and the outcomes that are counted."""

import itertools
import json
from typing import Any

import pytest
import sqlalchemy as sa

from playbooks.states import Status
from store import access
from store.audit import audit
from store.engine import db
from store.executions import rows, transitions
from store.ids import new_id
from store.paging import Part
from store.records import listing as records
from store.records import notes
from store.records.notes import Note
from tasks.clock import metrics as counting
from tasks.clock.duty import TimeSlice
from tests.support import committer
from tests.support.api import Door, assert_problem
from tests.support.executions import new_execution

TOKEN = "xoxb-0123456789abcdef"


def execution(**more: Any) -> str:
    """A triggered action of the default workspace that was carried out, or ended as ``to`` says."""
    to, error = more.pop("to", Status.COMPLETED), more.pop("error", None)
    values = new_execution(**{"workspace_id": "default", **more})
    with db.write() as connection:
        transitions.accept(connection, values, publish_again_at=db.now_ms())
        committer.claim(connection, values["id"])
        changes = {"error": json.dumps({"code": error, "message": "m"})} if error else {}
        transitions.transition(connection, values["id"], to, **changes)
    return values["id"]


def note(**more: Any) -> str:
    """A dispatch of the default workspace that made no execution."""
    members = {
        "workspace_id": "default",
        "caller": "key-2",
        "outcome": "suppressed",
        "namespace": "mail",
        "provider": "email",
        "action_type": "send",
        "payload": {"to": "a@example.com"},
        "began_at": db.now_ms(),
        "verdict": "suppress",
        "rule": "quiet",
    }
    this = Note(**{**members, **more})
    with db.write() as connection:
        notes.note(connection, this)
    return this.id


def listed(door: Door, query: str = "", **options: Any) -> dict[str, Any]:
    """The answer of the list."""
    answer = door.call("GET", f"/v1/audit{query}", **options)
    assert answer.status_code == 200, answer.text
    return answer.json


def ids(door: Door, query: str = "", **options: Any) -> list[str]:
    """The action ids of the list."""
    return [record["action_id"] for record in listed(door, query, **options)["records"]]


@pytest.fixture
def both(database: str) -> Door:
    """The application on either database."""
    return Door()


def test_each_filter_leaves_what_matches(both: Door) -> None:
    """Alone and together with each other; what none matches is an empty list."""
    step = f"{new_id('pexec')}.s1"
    run_id = step.partition(".")[0]
    with db.write() as connection:
        row = {"id": step, "workspace_id": "default", "mode": "live", "created_by": "key-3", "run_id": run_id}
        row |= {"step_id": "s1", "iteration": "", "type": "action", "status": Status.RUNNING, "attempt": 1}
        row |= {"action_id": "act-2", "revision_id": "rev", "timeout_ms": 1}
        transitions.add(connection, [rows.step(row)], "key-3")
        transitions.transition(connection, step, Status.COMPLETED)
    one = execution(action_id="act-1", created_by="key-1")
    two = execution(action_id="act-1", created_by="key-1", to=Status.FAILED, error="http_status")
    three, four = note(), note(outcome="deduplicated", verdict="deduplicate", rule="once", provider="sms")
    everything = [four, three, two, one, step]
    assert ids(both) == everything
    expected = {
        "namespace=mail": [four, three],
        "namespace=playbooks": [step],
        "tenant=default": everything,
        "provider=sms": [four],
        "action_type=act-1": [two, one],
        "outcome=executed": [one, step],
        "outcome=failed": [two],
        "outcome=throttled": [],
        "verdict=allow": [two, one, step],
        "verdict=suppress": [three],
        "matched_rule=once": [four],
        "caller_id=key-1": [two, one],
        f"chain_id={run_id}": [step],
    }
    for query, found in expected.items():
        assert ids(both, f"?{query}") == found, query
        assert listed(both, f"?{query}")["total"] == len(found), query
    for (first, left), (second, right) in itertools.combinations(expected.items(), 2):
        if first.partition("=")[0] != second.partition("=")[0]:
            assert ids(both, f"?{first}&{second}") == [one for one in left if one in right], (first, second)


def test_a_period_is_of_the_time_of_the_record(both: Door) -> None:
    """From is included, to is not."""
    found = [note() for _ in range(3)]
    times = {record["action_id"]: record["completed_at"] for record in listed(both)["records"]}
    with db.read() as connection:
        latest = connection.execute(sa.select(sa.func.max(audit.c.at)).where(audit.c.outcome.is_not(None))).scalar()
    assert ids(both, f"?from={times[found[2]]}")[0] == found[2]
    assert found[2] not in ids(both, f"?to={times[found[2]]}")
    assert ids(both, "?from=2020-01-01T00:00:00Z&to=2021-01-01T00:00:00Z") == []
    assert latest is not None
    assert len(ids(both, "?from=2020-01-01T00:00:00Z")) == 3


def test_reading_on_by_offset_and_by_cursor_shows_each_once(both: Door) -> None:
    """Both ways bring the same, in the same order, whatever is added meanwhile to the list of the cursor."""
    expected = [note(outcome=("suppressed", "throttled")[number % 2]) for number in range(23)][::-1]
    assert [one for offset in (0, 10, 20) for one in ids(both, f"?limit=10&offset={offset}")] == expected
    seen, cursor = [], ""
    while cursor is not None:
        page = listed(both, f"?limit=5{cursor and f'&cursor={cursor}'}")
        seen += [record["action_id"] for record in page["records"]]
        assert page["total"] == (None if cursor else 23)
        cursor = page["next_cursor"]
        note(outcome="failed")
    assert seen == expected
    page = listed(both)
    assert (page["limit"], page["offset"]) == (50, 0)


def test_bad_parameters_are_named(door: Door) -> None:
    """A limit beyond the most is told, not clamped; a foreign cursor, a reversed period, unknown words are refused."""
    note()
    note()
    cursor = listed(door, "?limit=1")["next_cursor"]
    for query, pointer in {
        "limit=1001": "/query/limit",
        "limit=0": "/query/limit",
        "limit=x": "/query/limit",
        "offset=-1": "/query/offset",
        "offset=20000": "/query/offset",
        "from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z": "/query/to",
        "from=yesterday": "/query/from",
        "outcome=done": "/query/outcome",
        "verdict=maybe": "/query/verdict",
        "cursor=abc": "/query/cursor",
        f"cursor={cursor}&outcome=failed": "/query/cursor",
        f"cursor={cursor}&offset=1": "/query/offset",
        "namespace=": "/query/namespace",
        "provider=" + "x" * 129: "/query/provider",
        "colour=red": "/query/colour",
    }.items():
        body = assert_problem(door.call("GET", f"/v1/audit?{query}"), 400)
        assert [one["pointer"] for one in body["errors"]] == [pointer], query
    assert len(ids(door, "?limit=1000")) == 2


def test_a_record_by_its_id_is_the_newest(both: Door) -> None:
    """By the id that a dispatch gave itself, that of the execution or of the record; all=true has every one."""
    first, second = note(given_id="mine/1:a b"), note(given_id="mine/1:a b", outcome="throttled")
    path = "/v1/audit/mine/1:a%20b"
    record = both.call("GET", path).json
    assert (record["action_id"], record["outcome"]) == ("mine/1:a b", "throttled")
    every = both.call("GET", f"{path}?all=true").json["records"]
    assert [one["outcome"] for one in every] == ["throttled", "suppressed"]
    assert every[0] == record
    assert both.call("GET", f"/v1/audit/{first}").json["outcome"] == "suppressed"
    assert both.call("GET", f"/v1/audit/{second}").json["outcome"] == "throttled"
    execution_id = execution()
    assert both.call("GET", f"/v1/audit/{execution_id}").json["execution_id"] == execution_id
    assert_problem(both.call("GET", "/v1/audit/none"), 404)
    assert_problem(both.call("GET", "/v1/audit/none?all=true"), 404)


@pytest.mark.parametrize("value", ["details = '{broken'", "details = CAST(x'fe' AS TEXT)", "began_at = 'soon'"])
def test_a_row_that_cannot_be_read_keeps_no_other_from_being_shown(door: Door, value: str) -> None:
    """SQLite takes anything in any column: the list shows what can be read of the row, and names the rest."""
    fine, broken = note(), note(given_id="broken")
    with db.write() as connection:
        connection.exec_driver_sql("DROP TRIGGER audit_no_update")
        connection.exec_driver_sql(f"UPDATE audit SET {value} WHERE subject = '{broken}'")
    shown = {record["action_id"]: record for record in listed(door)["records"]}
    assert "unreadable" not in shown[fine]
    assert (shown["broken"]["unreadable"], shown["broken"]["outcome"]) == ([value.split(maxsplit=1)[0]], "suppressed")
    assert door.call("GET", "/v1/audit/broken").json["unreadable"] == [value.split(maxsplit=1)[0]]


def test_no_secret_is_shown(both: Door) -> None:
    """Members that are called one are masked, and credentials in texts, in what an execution carried and elsewhere."""
    given = {"password": "hunter2hunter2", "deep": [{"api_key": TOKEN, "to": "a"}], "url": f"https://a:{TOKEN}@b/"}
    subject = execution(input=json.dumps(given))
    for shown in (both.call("GET", f"/v1/audit/{subject}").json, listed(both)["records"][0]):
        assert shown["payload"]["deep"][0] == {"api_key": "********", "to": "a"}
        assert TOKEN not in str(shown)
        assert "hunter2" not in str(shown)


def test_a_large_payload_is_left_out_of_a_list(both: Door) -> None:
    """The record itself has it."""
    subject = execution(input=json.dumps({"text": "x" * 20_000}))
    [record] = listed(both)["records"]
    assert record["payload"] is None
    assert record["payload_omitted"] is True
    whole = both.call("GET", f"/v1/audit/{subject}").json
    assert len(whole["payload"]["text"]) == 20_000
    assert whole["payload_omitted"] is False


def test_grants_say_whose_records_are_shown(both: Door) -> None:
    """Parents cover what is below them; a foreign tenant is 403 by name, and does not exist by id."""
    with db.write() as connection:
        for name in ("acme", "acme.eu", "acme-corp"):
            access.ensure_workspace(connection, name, name)
    mine, below, foreign = (note(workspace_id=name) for name in ("acme", "acme.eu", "acme-corp"))
    text = note(workspace_id="acme", provider="sms")

    def key(*grants: dict[str, list[str]], workspace: str = "acme") -> str:
        with db.write() as connection:
            return access.create_key(
                connection,
                workspace_id=workspace,
                name="a test",
                role="viewer",
                scopes=[],
                expires_at=None,
                actor="test",
                grants=json.dumps(grants) if grants else None,
            )[1]

    covering, own = key({"tenants": ["acme"]}), key()
    assert ids(both, key=covering) == [text, below, mine]
    assert ids(both, key=own) == [text, mine]
    assert ids(both, "?tenant=acme.eu", key=covering) == [below]
    assert ids(both, key=key({"tenants": ["*"]})) == [text, foreign, below, mine]
    assert ids(both, key=key({"tenants": ["acme"], "providers": ["sms"]})) == [text]
    assert ids(both, key=key({"tenants": ["nobody"]})) == []
    for name in ("acme-corp", "nowhere"):
        assert_problem(both.call("GET", f"/v1/audit?tenant={name}", key=covering), 403)
    assert_problem(both.call("GET", "/v1/audit?tenant=acme.eu", key=own), 403)
    assert_problem(both.call("GET", f"/v1/audit/{foreign}", key=covering), 404)
    assert both.call("GET", f"/v1/audit/{below}", key=covering).status_code == 200


def test_more_tenants_than_one_statement_takes(both: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their lists are merged, over pages."""
    monkeypatch.setattr(records, "_AT_ONCE", 2)
    monkeypatch.setattr(records, "_COUNTED", 3)
    names = [f"t-{number}" for number in range(7)]
    with db.write() as connection:
        for name in names:
            access.ensure_workspace(connection, name, name)
        key = access.create_key(
            connection,
            workspace_id="default",
            name="a test",
            role="viewer",
            scopes=[],
            expires_at=None,
            actor="test",
            grants='[{"tenants": ["*"]}]',
        )[1]
    expected = [note(workspace_id=name) for name in [*names, *names]][::-1]
    seen = [one for offset in (0, 4, 8, 12) for one in ids(both, f"?limit=4&offset={offset}", key=key)]
    assert seen == expected
    assert both.call("GET", f"/v1/audit/{expected[0]}", key=key).status_code == 200


def test_the_statements_of_a_list_do_not_grow_with_the_tenants(both: Door) -> None:
    """They are counted together, and their walks are merged two hundred at a time."""
    names = [f"t-{number}" for number in range(150)]
    with db.write() as connection:
        for name in names:
            access.ensure_workspace(connection, name, name)
    expected = [note(workspace_id=name) for name in names[:3]][::-1]
    asked = {"tenants": [*names, "default"], "covered": ()}
    sent: list[str] = []
    with db.read() as connection:
        sa.event.listen(connection, "before_cursor_execute", lambda *given: sent.append(given[2]))
        for filters in ({}, {"action_type": "send", "outcome": "suppressed", "matched_rule": "quiet"}):
            found = records.search(connection, records.Scope(**asked), filters, Part(10))
            assert [row.subject for row in found.rows] == expected
            assert found.total is not None
            assert found.total.number == 3
    assert len(sent) <= 10


def test_recorded_outcomes_are_counted_for_rules(both: Door) -> None:
    """By everything that a condition may ask for, and no further than it asks."""
    for _ in range(3):
        note()
    execution(action_id="act-1")
    now = db.now_ms()
    asked = {"since": now - 60_000, "until": now + 1}
    with db.read() as connection:
        for filters, number in (
            ({}, 4),
            ({"action_type": "send"}, 3),
            ({"action_type": "send", "outcome": "suppressed", "matched_rule": "quiet", "namespace": "mail"}, 3),
            ({"action_type": "send", "outcome": "executed"}, 0),
            ({"outcome": "executed", "provider": "none"}, 0),
            ({"since": now + 60_000}, 0),
        ):
            assert records.count(connection, "default", {**asked, **filters}, 10) == number, filters
        assert records.count(connection, "default", {**asked, "action_type": "send"}, 2) == 2
        assert records.count(connection, "elsewhere", asked, 10) == 0


def test_outcomes_are_counted_as_often_as_they_are_recorded(both: Door) -> None:
    """Those of dispatches stand at the top level, those of the other origins by origin; counting again adds none."""
    execution()
    execution(to=Status.CANCELLED)
    for outcome in ("suppressed", "suppressed", "deduplicated", "throttled"):
        note(outcome=outcome)
    for _ in range(3):  # the steps of a chain, which carry out what is counted as a dispatch
        note(outcome="executed", origin="chain", rule=None, verdict=None)
    note(outcome="suppressed", origin="recurring")
    for _ in range(2):
        counting.count(TimeSlice())
    seven = {"dispatched": 4, "executed": 0, "deduplicated": 1, "suppressed": 2, "rerouted": 0, "throttled": 1}
    seven["failed"] = 0
    by_origin = {
        "dispatch": {"deduplicated": 1, "suppressed": 2, "throttled": 1},
        "trigger": {"cancelled": 1, "executed": 1},
        "chain": {"executed": 3},
        "recurring": {"suppressed": 1},
    }
    shown = both.call("GET", "/metrics").json
    assert {name: shown[name] for name in (*seven, "by_origin")} == {**seven, "by_origin": by_origin}
    health = both.call("GET", "/health").json["metrics"]
    assert {name: health[name] for name in (*seven, "grouped", "pending_approval")} == {
        **seven,
        "grouped": 0,
        "pending_approval": 0,
    }
    assert "dispatched" not in both.call("GET", "/metrics", key=None).json
