"""Ids tell the order in which a process made them."""

import time_machine

from store.ids import new_id


def test_ids_of_one_millisecond_grow() -> None:
    """A list that is sorted by id shows what came in a row in that order."""
    with time_machine.travel("2026-11-29T10:00:00Z", tick=False):
        made = [new_id("exec") for _ in range(100)]
    assert made == sorted(made)
    assert len(set(made)) == 100
    assert {len(each) for each in made} == {len("exec-") + 22}


def test_an_id_begins_with_its_time() -> None:
    """Also when the clock is set back: what follows is not dated after its time."""
    with time_machine.travel("2026-11-29T12:00:00Z", tick=False) as clock:
        later = new_id("exec")
        clock.shift(-3600)
        earlier = new_id("exec")
    assert int(later[5:17], 16) - int(earlier[5:17], 16) == 3_600_000
