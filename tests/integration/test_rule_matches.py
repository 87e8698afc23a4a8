"""``matched_24h`` of rules: what each has decided in the last day, counted in an index and seldom."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.grants import Grant
from store import access
from store.engine import db
from store.records import listing, matches, notes
from store.records.notes import Note
from tests.support import dispatching
from tests.support.api import Door

RULES = """\
rules:
  - {name: quiet, condition: {field: action.provider, eq: mail}, action: {type: suppress}}
  - {name: never, condition: {field: action.provider, eq: none}, action: {type: suppress}}
  - {name: theirs, tenants: [acme], condition: {field: action.provider, eq: mail}, action: {type: deny}}
"""
DAY = 86_400_000


@pytest.fixture
def door(database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Door]:
    """The application on each kind of database, with three rules."""
    made = Door()
    dispatching.put_in_force(monkeypatch, tmp_path, rules=RULES)
    matches._remembered.clear()
    yield made
    dispatching.forget()


def note(rule: str | None, tenant: str = "default", **more: Any) -> Note:
    """The record of a dispatch that a rule has stopped."""
    members = {"caller": "key", "outcome": "suppressed", "namespace": "mail", "provider": "mail", "action_type": "send"}
    members |= {"workspace_id": tenant, "payload": {}, "began_at": db.now_ms(), "verdict": "suppress", "rule": rule}
    return Note(**{**members, **more})


def add(*these: Note) -> None:
    """Write the records."""
    with db.write() as connection:
        notes.note(connection, *these)


def matched(door: Door, **options: Any) -> dict[str, Any]:
    """Rule → what the list says."""
    matches._remembered.clear()
    answer = door.call("GET", "/v1/rules", **options)
    assert answer.status_code == 200, answer.text
    return {rule["name"]: rule["matched_24h"] for rule in answer.json["rules"]}


def test_each_rule_has_the_number_of_its_records(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the caller's tenants and of the last day."""
    everywhere = door.key(grants=({"tenants": ["*"]},))
    with db.write() as connection:
        access.ensure_workspace(connection, "acme", "Acme")
    add(note("quiet"), note("quiet"), note(None), note("gone"), *(note("theirs", "acme") for _ in range(3)))
    add(note("quiet", "acme", provider="sms"))
    assert matched(door) == {"quiet": 2, "never": 0}
    assert matched(door, key=everywhere) == {"quiet": 3, "never": 0, "theirs": 3}
    by_mail = door.key(grants=({"tenants": ["*"], "providers": ["mail"]},))
    assert matched(door, key=by_mail) == {"quiet": 2, "never": 0, "theirs": 3}
    now = db.now_ms()
    monkeypatch.setattr(db, "now_ms", lambda: now + DAY + 60_000)
    assert matched(door) == {"quiet": 0, "never": 0}


def test_a_number_is_exact_up_to_its_bound(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond it shows the bound; too many rules and tenants are not counted."""
    monkeypatch.setattr(matches, "EXACT", 5)
    add(*(note("quiet") for _ in range(4)))
    assert matched(door)["quiet"] == 4
    add(*(note("quiet") for _ in range(4)))
    assert matched(door)["quiet"] == 5
    monkeypatch.setattr(matches, "MOST_PAIRS", 1)
    assert matched(door) == {"quiet": None, "never": None}


def test_a_process_counts_once_in_some_seconds(door: Door) -> None:
    """Requests in between get the same number."""
    assert matched(door)["quiet"] == 0
    add(note("quiet"))
    assert {one["matched_24h"] for one in door.call("GET", "/v1/rules").json["rules"]} == {0}
    assert matched(door)["quiet"] == 1


def test_a_rule_is_counted_in_its_index(door: Door) -> None:
    """Among many records only those of the rule and the day are looked at, and the table is not."""
    fill(20_000)
    with db.read() as connection:
        within = listing.scope(connection, (Grant(("default",), ("*",), ("*",), ("*",), exact=True),))
        query = matches.statement(connection, within, ["quiet", "never"], db.now_ms() - DAY)
        text = str(query.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True}))
        word = "EXPLAIN" if connection.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
        plan = "\n".join(
            str(tuple(row)) for row in connection.execute(sa.text(f"{word} {text.replace(':', chr(92) + ':')}"))
        )
    assert "ix_audit_rules" in plan, plan
    assert "Index Only Scan" in plan or "COVERING INDEX ix_audit_rules (workspace_id=? AND rule=? AND at>?)" in plan, (
        plan
    )


def fill(records: int) -> None:
    """Many records of the last five days, a tenth of them of one rule."""
    members = "workspace_id, at, actor, event, subject, outcome, rule, verdict, provider, namespace, action_type"
    values = (
        "'default', :now - n * (432000000 / :all), 'k', 'dispatch.suppressed', 'disp-' || n, 'suppressed',"
        " CASE WHEN n % 10 = 0 THEN 'quiet' WHEN n % 10 < 5 THEN 'r' || (n % 50) END, 'suppress', 'mail', 'n', 'send'"
    )
    with db.write() as connection:
        if connection.dialect.name == "postgresql":
            source = "generate_series(1, :all) AS n"
        else:
            source = "(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < :all) SELECT n FROM s)"
        text = f"INSERT INTO audit ({members}) SELECT {values} FROM {source}"
        connection.execute(sa.text(text), {"now": db.now_ms(), "all": records})
    if db.engine().dialect.name == "postgresql":
        with db.engine().connect() as connection:
            connection.exec_driver_sql("VACUUM ANALYZE audit")
