"""What an intruder who rules the database writes next to the rows of the trail: no check believes it or stops at it."""

import pytest
import sqlalchemy as sa

from store import trail
from store.blocks import anchors, findings
from store.blocks.seals import audit_seals
from store.engine import db
from tasks.clock import metrics
from tasks.clock.duty import TimeSlice
from tasks.clock.trail import anchoring
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
