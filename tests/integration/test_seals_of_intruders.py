"""What an intruder who rules the database writes next to the rows of the trail: no check believes it or stops at it."""

import secrets

import pytest
import sqlalchemy as sa

from api import trail_health
from config.settings import settings
from store import audit, trail
from store.blocks import anchors, findings, floor, walks
from store.blocks.seals import audit_seals
from store.engine import db
from tasks.clock import metrics
from tasks.clock.duty import TimeSlice
from tasks.clock.trail import anchoring, checks, pruning, verification
from tests.integration.test_seals import row_ids, written
from tests.support.sealed import checked, seal_all, tampering, write

pytestmark = pytest.mark.on_both


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("value", ["details = CAST(x'ff' AS TEXT)", "workspace_id = x'00'", "at = 'noon'"])
def test_a_row_that_nobody_reads_keeps_no_other_from_its_seal(
    database: str, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    """A row that was odd before it was sealed is sealed as it is, what counts the trail goes on, checks name it."""
    written(4, monkeypatch)
    write("before", "odd", "behind")
    odd = row_ids()[5]
    with tampering() as connection:
        connection.exec_driver_sql(f"UPDATE audit SET {value} WHERE id = {odd}")
    assert seal_all() == 3
    metrics.count(TimeSlice())
    write("later")
    assert seal_all() == 1
    metrics.count(TimeSlice())
    done = checked()
    assert [(one.kind, one.seal, one.record_id) for one in done.faults] == [(findings.ROW_ODD, 2, odd)]
    with tampering() as connection:
        connection.exec_driver_sql(f"UPDATE audit SET details = CAST(x'fe' AS TEXT) WHERE id = {odd}")
    assert [(one.kind, one.record_id) for one in checked().faults] == [(findings.ROW_CHANGED, odd)]
    with db.read() as connection:
        assert trail.mark(connection, metrics.READER).id == row_ids()[-1]


#: what a seal is made to say; the last ones only SQLite takes
_NONSENSE = (
    "form = 99",
    "row_count = -5, id = 9223372036854775807",
    "leaf_marks = 'text', first_at = 'noon'",
    "root = CAST(x'ff' AS TEXT), row_count = 'many'",
    "signature = x'00', hash = x'00', key_id = x'00'",
)


def test_a_seal_that_says_nonsense_keeps_no_check_from_its_end(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A form that there is not, a number that is none, bytes for a text: the check names the seal, and goes on."""
    written(12, monkeypatch)
    with db.engine().connect() as connection:
        nonsense = _NONSENSE if connection.dialect.name == "sqlite" else _NONSENSE[:2]
    for said in nonsense:
        for number in (2, 3):
            with tampering() as connection:
                kept = connection.execute(sa.select(audit_seals).where(audit_seals.c.number == number)).one()
                connection.exec_driver_sql(f"UPDATE audit_seals SET {said} WHERE number = {number}")
            faults = checked().faults
            assert (faults[0].kind, faults[0].seal) == (findings.SEAL_FORGED, number), said
            with tampering() as connection:
                back = sa.update(audit_seals).where(audit_seals.c.number == number)
                connection.execute(back.values(kept._asdict()))
            assert checked().valid


def test_blocks_cut_off_before_the_last_anchor_are_found(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also once the chain was anchored again; an anchor of a time to come keeps none from being made."""
    written(12, monkeypatch)
    now = db.now_ms()
    monkeypatch.setattr(db, "now_ms", lambda: now)
    assert anchoring.anchor(TimeSlice()) == 1
    with tampering() as connection:
        connection.exec_driver_sql("DELETE FROM audit WHERE subject IN ('thing-8', 'thing-9', 'thing-10', 'thing-11')")
        connection.exec_driver_sql("DELETE FROM audit_seals WHERE number = 3")
        connection.exec_driver_sql("INSERT INTO audit_anchors VALUES (99999999, 2, 'x', 0, NULL)")
    for each in range(3):
        write(f"new-{each}")
        seal_all()
    now += anchors.HOUR
    assert anchoring.anchor(TimeSlice()) == 1
    assert [(one.kind, one.seal) for one in checked().faults] == [(findings.ANCHOR_DIFFERS, 2)]
    with tampering() as connection:
        connection.exec_driver_sql("DELETE FROM audit_anchors WHERE hour = 99999999")
    assert [(one.kind, one.seal) for one in checked().faults] == [(findings.ANCHOR_DIFFERS, 3)]


@pytest.mark.parametrize("ended", [True, False])
def test_health_believes_no_check_that_an_intruder_has_noted(
    database: str, monkeypatch: pytest.MonkeyPatch, ended: bool
) -> None:
    """Neither one that found nothing, also in a time to come, nor one of our own that is said to have come further."""
    written(12, monkeypatch)
    assert checks.check(TimeSlice()) == 12
    with tampering() as connection:
        connection.exec_driver_sql("UPDATE audit SET actor = 'another' WHERE subject = 'thing-5'")
        [kept] = walks.newest(connection)
        for begun_at in (kept.begun_at + 1, 99_999_999_999_999):
            forged = {**kept._asdict(), "begun_at": begun_at, "ended_at": begun_at if ended else None}
            connection.execute(sa.insert(walks.audit_walks).values(forged))
    monkeypatch.setattr(checks, "EVERY", 0)
    assert checks.check(TimeSlice()) == 12
    with db.read() as connection:
        shown = trail_health.read(connection)
    assert (shown["valid"], shown["faults"]) == (False, ["row_changed at seal 2"])


def test_a_seal_that_is_made_older_lets_no_young_rows_go(first_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither one of a key that is set, nor one that an earlier key has signed, which the later seals vouch for."""
    old, young = "highest_at = 1", f"highest_at = {db.now_ms()}"
    monkeypatch.setenv("TOCSIN_AUDIT_DAYS", "5")
    first, second = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    for key in (first, second):
        monkeypatch.setenv("TOCSIN_SECRET_KEYS", f"{key},{first}" if key != first else key)
        settings.cache_clear()
        written(4, monkeypatch)
    monkeypatch.setenv("TOCSIN_SECRET_KEYS", second)
    settings.cache_clear()
    for number in (1, 2):
        with tampering() as connection:
            connection.exec_driver_sql(f"UPDATE audit_seals SET {old} WHERE number = {number}")
        assert pruning.prune(TimeSlice()) == 0
        with tampering() as connection:
            connection.exec_driver_sql(f"UPDATE audit_seals SET {young} WHERE number = {number}")
    with db.read() as connection:
        assert floor.read(connection) is None


def test_seals_that_are_made_older_hide_no_row_of_a_period(
    first_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A check of a period begins at a seal that is as it was made, else at the first."""
    clock = iter(range(1_000, 2_000))
    monkeypatch.setattr(audit, "now_ms", lambda: next(clock) * 1_000)
    written(40, monkeypatch)
    asked = verification.Asked(grants=(), since=1_014_000, until=1_030_000)
    assert verification.verify(asked, db.read_one).done.seals == 5  # of ten
    with tampering() as connection:
        connection.exec_driver_sql("UPDATE audit SET actor = 'another' WHERE subject = 'thing-14'")
        connection.exec_driver_sql("UPDATE audit_seals SET highest_at = 0 WHERE number BETWEEN 3 AND 6")
    found = verification.verify(asked, db.read_one).done.faults
    assert (findings.ROW_CHANGED, 4) in [(one.kind, one.seal) for one in found]


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_row_of_a_transaction_to_come_is_found(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be listed, and wait for its seal for ever."""
    written(4, monkeypatch)
    with tampering() as connection:
        connection.exec_driver_sql(
            "INSERT INTO audit (id, workspace_id, at, actor, event, subject, xid)"
            " VALUES (9999, 'w', 0, 'me', 'e', 's', 4000000000000000000)"
        )
    assert [(one.kind, one.record_id) for one in checked().faults] == [(findings.ROW_ADDED, 9999)]
