"""Changes that share a transaction: each gets its own result, and a bad one harms nobody."""

import threading

import pytest

from store import audit, db, group


def _note(number: int):
    def change(connection):
        audit.record(connection, "w", "me", "tested", f"thing-{number}")
        return number

    return change


def _break(connection):
    audit.record(connection, "w", "me", "tested", "broken")
    raise ValueError("no")


def _events(subject: str) -> int:
    with db.read() as connection:
        return len(audit.of(connection, "w", subject))


def _together(changes):
    """Run all at once, while another change holds the way until all have arrived; returns what became of each."""
    outcomes: dict[int, object] = {}
    arrived, go = threading.Event(), threading.Event()

    def first(connection):
        arrived.set()
        go.wait(10)

    def run(index, change):
        try:
            outcomes[index] = group.commit(change)
        except Exception as error:
            outcomes[index] = error

    leader = threading.Thread(target=group.commit, args=(first,))
    leader.start()
    assert arrived.wait(10)
    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(changes)]
    for thread in threads:
        thread.start()
    waiting = group._group._waiting if db.engine().dialect.name == "sqlite" else changes
    while len(waiting) < len(changes):
        threading.Event().wait(0.005)
    go.set()
    for thread in [leader, *threads]:
        thread.join(20)
        assert not thread.is_alive()
    return [outcomes[index] for index in range(len(changes))]


def test_everybody_gets_the_result_of_their_own_change(database: str) -> None:
    """A hundred changes at once are all made, each once, and each caller is told about its own."""
    assert _together([_note(number) for number in range(100)]) == list(range(100))
    assert [_events(f"thing-{number}") for number in range(100)] == [1] * 100


def test_a_bad_change_harms_nobody_else(database: str) -> None:
    """Of a batch with one that raises, the others are committed once and the bad one leaves nothing behind."""
    outcomes = _together([_note(1), _break, _note(2)])
    assert (outcomes[0], outcomes[2]) == (1, 2)
    assert isinstance(outcomes[1], ValueError)
    assert [_events(name) for name in ("thing-1", "thing-2", "broken")] == [1, 1, 0]


def test_the_end_of_a_leader_leaves_nobody_waiting(sqlite_database: str) -> None:
    """When the one that commits for all is ended, the others hear that nothing was accepted."""

    def end(connection):
        raise SystemExit

    with pytest.raises(SystemExit):
        group.commit(end)
    assert group.commit(_note(7)) == 7


def test_changes_share_a_transaction_on_sqlite(sqlite_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What piled up while one was committed takes a single further transaction."""
    used, real = [], db.write

    def counted(**options):
        used.append(options)
        return real(**options)

    monkeypatch.setattr(db, "write", counted)
    _together([_note(number) for number in range(20)])
    assert len(used) == 2
