"""The sealed audit trail: every settled row is in one seal, and nothing that was sealed changes without being found."""

import json
import secrets
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from api import trail_health
from config.settings import settings
from store import audit
from store.blocks import anchors, checking, findings, floor, seals, walks
from store.blocks.findings import Progress, Want
from store.blocks.seals import audit_seals
from store.engine import db
from store.executions.transitions import executions
from tasks.clock.duty import TimeSlice
from tasks.clock.trail import anchoring, checks, pruning, sealing
from tests.support import dispatching, plans
from tests.support.api import Door
from tests.support.sealed import checked, kinds, seal_all, tampering, write

pytestmark = pytest.mark.on_both


def small_blocks(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    """Blocks of a few rows."""
    monkeypatch.setattr(seals, "MOST_ROWS", rows)


def written(number: int, monkeypatch: pytest.MonkeyPatch, *, rows: int = 4) -> None:
    """A sealed trail of this many rows in blocks of ``rows``."""
    small_blocks(monkeypatch, rows)
    write(*(f"thing-{each}" for each in range(number)))
    seal_all()


def row_ids() -> list[int]:
    """The ids of all rows."""
    with db.read() as connection:
        return list(connection.scalars(sa.select(audit.audit.c.id).order_by(audit.audit.c.id)))


def test_what_is_settled_is_sealed_in_blocks_and_verifies(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row is in one block; what is written later goes into the next ones; all is as it was sealed."""
    assert checked().valid
    written(10, monkeypatch)
    write("later")
    assert seal_all() == 1
    assert sealing.seal(TimeSlice()) == 0
    done = checked()
    assert (done.valid, done.records, done.seals) == (True, 11, 4)
    assert [done.first_id, done.last_id] == [row_ids()[0], row_ids()[-1]]
    with db.read() as connection:
        counts = list(connection.scalars(sa.select(audit_seals.c.row_count).order_by(audit_seals.c.number)))
    assert counts == [4, 4, 2, 1]


def _change(connection: sa.Connection, ids: list[int]) -> None:
    connection.exec_driver_sql(f"UPDATE audit SET actor = 'another' WHERE id = {ids[5]}")


def _hide(connection: sa.Connection, ids: list[int]) -> None:
    connection.exec_driver_sql(f"UPDATE audit SET provider = 'mail' WHERE id = {ids[5]}")


def _delete(connection: sa.Connection, ids: list[int]) -> None:
    connection.exec_driver_sql(f"DELETE FROM audit WHERE id = {ids[4]}")


def _exchange(connection: sa.Connection, ids: list[int]) -> None:
    first, second = ids[5], ids[6]
    for one, other in ((first, -1), (second, first), (-1, second)):
        connection.exec_driver_sql(f"UPDATE audit SET id = {other} WHERE id = {one}")


def _insert(connection: sa.Connection, ids: list[int]) -> None:
    xid = "xid" if connection.dialect.name == "postgresql" else "NULL"
    connection.exec_driver_sql(f"UPDATE audit SET id = {ids[-1]} + 100 WHERE id = {ids[5]}")
    connection.exec_driver_sql(
        "INSERT INTO audit (id, workspace_id, at, actor, event, subject, xid)"
        f" SELECT {ids[5]}, 'w', at, 'me', 'tested', 'slipped in', {xid} FROM audit WHERE id = {ids[4]}"
    )


def _insert_before_all(connection: sa.Connection, _ids: list[int]) -> None:
    connection.exec_driver_sql(
        "INSERT INTO audit (id, workspace_id, at, actor, event, subject, xid) VALUES (-7, 'w', 0, 'me', 'e', 's', -1)"
    )


def _insert_outside(connection: sa.Connection, _ids: list[int]) -> None:
    connection.exec_driver_sql(
        "INSERT INTO audit (id, workspace_id, at, actor, event, subject, xid)"
        " VALUES (9999, 'w', 0, 'me', 'e', 's', NULL)"
    )


#: what was done → the kind of fault, its seal, and the place of the row among all
_TAMPERED: dict[Callable[[sa.Connection, list[int]], None], tuple[str, int, int | None]] = {
    _change: (findings.ROW_CHANGED, 2, 5),
    _hide: (findings.ROW_CHANGED, 2, 5),
    _delete: (findings.ROW_MISSING, 2, 5),
    _exchange: (findings.ROW_CHANGED, 2, 5),
    _insert: (findings.ROW_CHANGED, 2, 5),
    _insert_before_all: (findings.ROW_ADDED, 1, None),
}


@pytest.mark.parametrize("tamper", _TAMPERED, ids=lambda one: one.__name__.strip("_"))
def test_a_row_that_was_altered_is_found(
    database: str, monkeypatch: pytest.MonkeyPatch, tamper: Callable[[sa.Connection, list[int]], None]
) -> None:
    """A change, a deletion, an insertion, an exchange of two rows: the check names the seal and the first row."""
    written(12, monkeypatch)
    ids = row_ids()
    with tampering() as connection:
        tamper(connection, ids)
    kind, seal, place = _TAMPERED[tamper]
    done = checked()
    assert not done.valid
    first = done.faults[0]
    assert (first.kind, first.seal) == (kind, seal)
    assert first.record_id == (-7 if place is None else ids[place])


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_row_outside_of_the_order_is_found(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row without a transaction belongs to no block, whatever its id: it is no row that waits for its seal."""
    written(12, monkeypatch)
    with tampering() as connection:
        _insert_outside(connection, [])
    assert [(one.kind, one.record_id) for one in checked().faults] == [(findings.ROW_ADDED, 9999)]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_text_that_is_none_is_found(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes that no driver reads keep no check from its end."""
    written(12, monkeypatch)
    with tampering() as connection:
        connection.exec_driver_sql("UPDATE audit SET actor = CAST(x'ff' AS TEXT) WHERE subject = 'thing-5'")
        connection.exec_driver_sql("UPDATE audit SET actor = x'00' WHERE subject = 'thing-9'")
    assert [(one.kind, one.seal) for one in checked().faults] == [(findings.ROW_CHANGED, 2), (findings.ROW_CHANGED, 3)]


def test_a_forged_seal_is_found(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever alters rows and makes the seal that fits them has no key to sign it with; nor can a seal go missing."""
    written(12, monkeypatch)
    with tampering() as connection:
        connection.exec_driver_sql("UPDATE audit SET actor = 'another' WHERE subject = 'thing-5'")
        with db.read() as reader:
            before = seals.end(reader)
            entries = seals.read_block(reader, seals.End(1, "x", 0, sealed_place(1)))
        forged = seals.seal_of(seals.End(1, sealed_hash(1), before.highest_at, sealed_place(1)), entries)
        values = {name: forged[name] for name in ("root", "hash", "leaf_marks", "sealed_at")}
        connection.execute(sa.update(audit_seals).where(audit_seals.c.number == 2).values(values))
    done = checked()
    assert (done.faults[0].kind, done.faults[0].seal) == (findings.SEAL_FORGED, 2)
    with tampering() as connection:
        connection.execute(sa.delete(audit_seals).where(audit_seals.c.number == 2))
    done = checked()
    assert (done.faults[0].kind, done.faults[0].seal) == (findings.SEAL_MISSING, 2)


def sealed_place(number: int) -> seals.Position:
    """The place at which a seal ends."""
    with db.read() as connection:
        return seals.Seal.of(seals.numbered(connection, number)).position


def sealed_hash(number: int) -> str:
    """The hash of a seal."""
    with db.read() as connection:
        return str(seals.numbered(connection, number).hash)


def test_blocks_cut_off_the_end_are_found_by_the_anchor(first_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else shows that they were there; and what is sealed again in their place has another hash."""
    written(12, monkeypatch)
    assert anchoring.anchor(TimeSlice()) == 1
    assert anchoring.anchor(TimeSlice()) == 0
    with db.read() as connection:
        anchor = anchors.newest(connection)
    assert (anchor.number, anchor.hash) == (3, sealed_hash(3))
    with tampering() as connection:
        connection.exec_driver_sql("DELETE FROM audit WHERE subject IN ('thing-8', 'thing-9', 'thing-10', 'thing-11')")
        connection.exec_driver_sql("DELETE FROM audit_seals WHERE number = 3")
    assert kinds(checked()) == [findings.ANCHOR_DIFFERS]
    write("in their place")
    seal_all()
    assert kinds(checked()) == [findings.ANCHOR_DIFFERS]
    with tampering() as connection:
        connection.exec_driver_sql("DELETE FROM audit_anchors")
    done = checked()
    assert done.valid  # to the installation itself: what was kept elsewhere differs
    with db.read() as connection:
        checking.check_anchor(connection, done, anchor.number, anchor.hash)
    assert kinds(done) == [findings.ANCHOR_DIFFERS]


def test_seals_of_an_earlier_key_verify(first_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it is set, by its signature; when it is not, by the later seals that are chained to it."""
    first, second = (secrets.token_urlsafe(32) for _ in range(2))

    def keys(*those: str) -> None:
        monkeypatch.setenv("TOCSIN_SECRET_KEYS", ",".join(those))
        settings.cache_clear()

    keys(first)
    written(8, monkeypatch)
    keys(second)
    assert kinds(checked()) == [findings.UNKNOWN_KEY]
    keys(second, first)
    assert checked().valid
    write("later")
    seal_all()
    keys(second)
    assert checked().valid
    with tampering() as connection:  # a seal that no key here has signed, and the row that it makes up
        connection.exec_driver_sql("UPDATE audit SET actor = 'another' WHERE subject = 'thing-7'")
        with db.read() as reader:
            entries = seals.read_block(reader, seals.End(1, "", 0, sealed_place(1)))
        keys(secrets.token_urlsafe(32))
        forged = seals.seal_of(seals.End(1, sealed_hash(1), 0, sealed_place(1)), entries)
        keys(second)
        connection.execute(sa.update(audit_seals).where(audit_seals.c.number == 2).values(forged))
    assert [(one.kind, one.seal) for one in checked().faults] == [(findings.CHAIN_BROKEN, 2)]


def test_a_seal_of_no_known_key_is_vouched_for_by_no_later_one(
    first_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An intruder who alters the last block and seals it with a key of his own waits in vain for the next seal."""
    written(8, monkeypatch)
    keys = settings().secret_keys
    with tampering() as connection:
        connection.exec_driver_sql("UPDATE audit SET actor = 'another' WHERE subject = 'thing-7'")
        with db.read() as reader:
            entries = seals.read_block(reader, seals.End(1, "", 0, sealed_place(1)))
        monkeypatch.setenv("TOCSIN_SECRET_KEY", secrets.token_urlsafe(32))
        settings.cache_clear()
        forged = seals.seal_of(seals.End(1, sealed_hash(1), 0, sealed_place(1)), entries)
        monkeypatch.delenv("TOCSIN_SECRET_KEY")
        settings.cache_clear()
        assert settings().secret_keys == keys
        connection.execute(sa.update(audit_seals).where(audit_seals.c.number == 2).values(forged))
    assert [(one.kind, one.seal) for one in checked().faults] == [(findings.UNKNOWN_KEY, 2)]
    write("later")
    seal_all()
    write("later still")
    seal_all()
    assert [(one.kind, one.seal) for one in checked().faults] == [(findings.CHAIN_BROKEN, 2)]


def test_a_period_is_checked_by_itself(first_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only its rows are read and counted, also where the trail around it is not as it was sealed."""
    clock = iter(range(1_000, 2_000))
    monkeypatch.setattr(audit, "now_ms", lambda: next(clock) * 1_000)
    written(40, monkeypatch)
    done = checked(Want(since=1_010_000, until=1_020_000))
    assert (done.valid, done.records) == (True, 10)
    with tampering() as connection:
        connection.exec_driver_sql("UPDATE audit SET actor = 'another' WHERE subject = 'thing-30'")
    assert checked(Want(since=1_010_000, until=1_020_000)).valid
    assert not checked(Want(since=1_010_000, until=1_031_000)).valid
    with db.read() as connection:
        assert seals.first_since(connection, 1_010_000) == 3
        assert seals.first_since(connection, 9_000_000) == 11


def test_old_blocks_go_and_the_rest_verifies(first_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole blocks below a mark that moves forward only, by an audited change; every other deletion is refused."""
    day = 86_400_000
    old = iter([db.now_ms() - 10 * day] * 10)
    real = audit.now_ms
    monkeypatch.setattr(audit, "now_ms", lambda: next(old, None) or real())
    written(14, monkeypatch)
    assert pruning.prune(TimeSlice()) == 0
    monkeypatch.setenv("TOCSIN_AUDIT_DAYS", "5")
    settings.cache_clear()
    assert pruning.prune(TimeSlice()) == 8  # the block that holds the last old rows has new ones, too
    assert pruning.prune(TimeSlice()) == 0
    seal_all()
    done = checked()
    assert (done.valid, done.records, done.seals) == (True, 7, 5)
    with db.read() as connection:
        events = list(connection.scalars(sa.select(audit.audit.c.event).order_by(audit.audit.c.id)))
    assert events == ["tested"] * 6 + ["audit.pruned"]
    for statement in (
        "DELETE FROM audit",
        "DELETE FROM audit WHERE subject = 'thing-8'",
        "UPDATE audit SET actor = 'x'",
        "UPDATE audit_floor SET seal = 1",
        "UPDATE audit_floor SET id = 999",
        "DELETE FROM audit_floor",
    ):
        with pytest.raises(sa.exc.DatabaseError), db.engine().begin() as connection:
            connection.exec_driver_sql(statement)
    with db.engine().connect() as connection:  # by one who may write, and has not the key
        connection.exec_driver_sql("UPDATE audit_floor SET seal = 4, id = 999, last_id = 999, xid = 999999")
        connection.exec_driver_sql("DELETE FROM audit WHERE subject = 'thing-8'")
    assert kinds(checked())[:2] == [findings.MARK_FORGED, findings.ROW_MISSING]


def test_the_whole_trail_is_checked_once_a_day(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In slices, each noted, so that another process goes on where one stopped; the result stays until the next."""
    monkeypatch.setattr(checking, "MOST_ROWS", 10)
    monkeypatch.setattr(checking.check, "__defaults__", (10, checking.MOST_SEALS))
    written(40, monkeypatch)
    over = TimeSlice(time.monotonic())
    assert [checks.check(over) for _ in range(7)] == [8, 8, 8, 8, 8, 0, 0]
    with db.read() as connection:
        (walk,) = walks.newest(connection)
    assert (walk.records_checked, walk.seals_checked, walks.progress(walk).valid) == (40, 10, True)
    assert checks.check(TimeSlice()) == 0
    with tampering() as connection:
        connection.exec_driver_sql("UPDATE audit SET actor = 'another' WHERE subject = 'thing-7'")
    monkeypatch.setattr(checks, "EVERY", 0)
    assert checks.check(TimeSlice()) == 40
    with db.read() as connection:
        shown = trail_health.read(connection)
    assert (shown["valid"], shown["faults"]) == (False, ["row_changed at seal 2"])


def test_a_slice_is_bounded_by_its_seals_too(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes a signature; whoever checks goes on behind them."""
    written(40, monkeypatch)
    with db.read() as connection:
        done = checking.check(connection, Progress(), Want(), most_seals=3)
        assert (done.seals, done.ended, done.valid) == (3, False, True)
        done = checking.check(connection, done, Want())
    assert (done.seals, done.records, done.ended) == (10, 40, True)


def test_a_tick_with_nothing_to_seal_makes_one_statement(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And writers make none, whatever is sealed."""
    written(3, monkeypatch)
    with plans.recorded(monkeypatch) as recorder:
        assert sealing.seal(TimeSlice()) == 0
    assert sum("audit" in text for text in recorder.sent) == 1


def test_no_statement_about_many_seals_reads_them_whole(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of the chain, a slice of a check, the seal of a row and what is old are each found by an index."""
    written(3, monkeypatch)
    with db.read() as connection:
        one = seals.numbered(connection, 1)
    with db.engine().begin() as connection:
        for first in range(2, 20_000, 5_000):
            more = [
                {**one._asdict(), "number": number, "id": 10 * number, "highest_at": one.highest_at + number}
                for number in range(first, first + 5_000)
            ]
            connection.execute(sa.insert(audit_seals), more)
        connection.exec_driver_sql("ANALYZE")
    with plans.recorded(monkeypatch) as recorder, db.read() as connection:
        seals.due(connection)
        seals.newest(connection)
        seals.behind(connection, 10_000, 500)
        seals.first_since(connection, one.highest_at + 9_000)
        seals.holding(connection, seals.Position(one.epoch, one.xid, 10 * 9_000))
        floor.candidate(connection, one.highest_at + 9_000)
    statements = [each for text, each in recorder.sent.items() if "audit_seals" in text]
    assert len(statements) == 7
    costs = dict(recorder.cost)
    with db.engine().connect() as connection:
        if connection.dialect.name == "postgresql":
            costs = {plans.form(each.text): plans.blocks(connection, each) for each in statements}
    assert {text: cost for text, cost in costs.items() if "audit_seals" in text and cost > 100} == {}


def test_the_newest_seal_of_an_hour_is_sent_by_a_provider(
    door: Door, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once, as a dispatch of the origin ``audit`` that rules stop only by its name; it is logged in any case."""
    rules = "rules: [{name: elsewhere, condition: {field: action.provider, eq: drill}, "
    rules += "action: {type: reroute, target_provider: other}}]"
    providers = "providers: {drill: {kind: mock}, other: {kind: mock}}"
    dispatching.put_in_force(monkeypatch, tmp_path, providers=providers, rules=rules)
    monkeypatch.setenv("TOCSIN_AUDIT_ANCHOR", "nowhere")
    settings.cache_clear()
    write("thing")
    seal_all()
    assert anchoring.anchor(TimeSlice()) == 1  # a provider that there is not keeps no hour from its anchor
    monkeypatch.setenv("TOCSIN_AUDIT_ANCHOR", "drill")
    settings.cache_clear()
    write("later")
    seal_all()
    assert anchoring.anchor(TimeSlice()) == 0
    now = db.now_ms() + anchors.HOUR
    monkeypatch.setattr(db, "now_ms", lambda: now)
    assert anchoring.anchor(TimeSlice()) == 1
    assert anchoring.anchor(TimeSlice()) == 0
    with db.read() as connection:
        anchor = anchors.newest(connection)
        sent = connection.execute(sa.select(executions).where(executions.c.id == anchor.dispatch_id)).one()
    payload = json.loads(sent.input)["payload"]
    assert (payload["seal"], payload["hash"]) == (2, sealed_hash(2))
    gate = json.loads(sent.gate)
    assert (gate["origin"], gate["namespace"], gate["provider"]) == ("audit", "audit", "drill")
    logged = capsys.readouterr().out
    assert logged.count("audit trail anchored") == 2
    assert "anchor of the audit trail cannot be sent" in logged
    dispatching.forget()
