"""What the bench times inside a process of the product, and what it lets the product do before."""

from typing import Any

import pytest

from store import trail
from store.engine import db
from tasks.clock import metrics
from tests.bench import inside
from tests.support.api import Door
from tests.support.filled import fill_database


def test_a_tick_is_timed_once_all_is_counted(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the product's own tick takes a bite in between, the count goes on instead of ending there."""
    fill_database(Door(), 1_000)
    advance, asked = trail.advance, []

    def overtaken_once(*given: Any) -> bool:
        asked.append(given)
        return len(asked) > 1 and advance(*given)

    monkeypatch.setattr(trail, "advance", overtaken_once)
    inside.catch_up()
    with db.read() as connection:
        assert trail.settled(connection, trail.mark(connection, metrics.READER), 1) == []
    assert len(asked) > 1
