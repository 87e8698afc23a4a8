"""Turns of clients that read what they have missed."""

from contextlib import ExitStack

from api.stream.turns import Turn, Turns


def test_owners_are_called_one_after_the_other() -> None:
    """Each with the client that has waited longest, however many wait for the others."""
    turns, called = Turns(most=1), list[Turn]()
    blocks = [turns.asked(owner) for owner in ("many",) * 4 + ("one", "other", "one")]
    asked = [block.__enter__() for block in blocks]
    while not all(turn in called for turn in asked):
        [now] = [turn for turn in asked if turn.has_come and turn not in called]
        called.append(now)
        blocks[asked.index(now)].__exit__(None, None, None)
    assert [turn.owner for turn in called] == ["many", "many", "one", "other", "many", "one", "many"]
    assert called[:2] == asked[:2]
    assert not turns._waiting


def test_an_owner_has_so_many_at_once() -> None:
    """Its others wait for one of these, and those of other owners do not."""
    turns = Turns(of_one=2)
    with ExitStack() as held:
        first, second, third, other = (held.enter_context(turns.asked(owner)) for owner in ("a", "a", "a", "b"))
        assert [one.has_come for one in (first, second, third, other)] == [True, True, False, True]
        with turns.asked("b"), turns.asked("b") as late:
            assert not late.has_come
        assert not third.wait(0)
    with turns.asked("a") as again:
        assert again.has_come


def test_who_is_aside_keeps_nobody_waiting() -> None:
    """It keeps its place, is passed over, and is called once it is back; who was called cannot step aside."""
    turns = Turns(most=1)
    with ExitStack() as first, ExitStack() as away, ExitStack() as here:
        one, other, another = (
            stack.enter_context(turns.asked(owner)) for stack, owner in ((first, "a"), (away, "b"), (here, "c"))
        )
        assert not one.step_aside()
        assert other.step_aside()
        first.close()
        assert (other.has_come, another.has_come) == (False, True)
        other.come_back()
        assert not other.has_come
        here.close()
        assert other.has_come
