"""The ids of stream events: they lead back to their places, and say nothing to those who have not made them."""

import itertools
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.settings import settings
from store.streams import ids
from store.streams.ids import Mark
from tests.support.sse import Parser

MARKS = st.builds(Mark, st.integers(0, (1 << 48) - 1), st.integers(0, (1 << 50) - 1), st.integers(0, 3))


@given(MARKS)
def test_an_id_leads_back_to_its_place(mark: Mark) -> None:
    """It is a UUID of version 7 with the time in front, the same each time."""
    text = ids.of(mark)
    made = uuid.UUID(text)
    assert (made.version, made.variant, made.int >> 80) == (7, uuid.RFC_4122, mark.at)
    assert ids.read(text) == mark
    assert ids.of(mark) == text


@given(MARKS, st.integers(0, 35), st.sampled_from("0123456789abcdefgGA-"))
def test_an_altered_id_is_none(mark: Mark, place: int, digit: str) -> None:
    """Whatever is altered, the time too."""
    text = ids.of(mark)
    altered = text[:place] + digit + text[place + 1 :]
    assert altered == text or ids.read(altered) is None


@pytest.mark.parametrize(
    "text", ["", "0", "6f1c0f2e-5a0b-4c55-9a3e-0d6f5b1c2a90", "0199f3c2-a1b4-7d0e-8f2c-41d0e8f2c41d", "x" * 4000, "\n"]
)
def test_other_texts_are_none(text: str) -> None:
    """Made-up ids, those of others, and no ids at all."""
    assert ids.read(text) is None


def test_neighbours_look_nothing_alike() -> None:
    """Ids of one millisecond do not tell how many rows lie between them."""
    rest = [uuid.UUID(ids.of(Mark(1_777_000_000_000, row, 0))).int & ((1 << 62) - 1) for row in range(1, 1_000)]
    bits = [(one ^ other).bit_count() for one, other in itertools.pairwise(rest)]
    assert 28 < sum(bits) / len(bits) < 34


def test_an_id_outlives_a_change_of_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as the former key is among those of the installation."""
    one, other = "k1-0123456789abcdefghijklmnopqrstuv", "k2-zyxwvutsrqponmlkjihgfedcba98765"
    for keys, known in (((one,), True), ((other, one), True), ((other,), False)):
        monkeypatch.setenv("TOCSIN_SECRET_KEYS", ",".join(keys))
        settings.cache_clear()
        if keys == (one,):
            text = ids.of(Mark(7, 7, 0))
        assert (ids.read(text) is not None) is known


@given(st.lists(st.integers(1, 9), max_size=40))
def test_the_tests_own_client_reads_what_the_standard_says(cuts: list[int]) -> None:
    """Wherever the body is cut; an id without data is kept, a comment is none, a field without a colon is empty."""
    body = 'retry: 3000\nid: a\n\n: alive\n\nevent: x\nid: b\ndata: {"ü":1}\ndata: 2\n\ndata\n\n'.encode()
    pieces, rest = [], body
    for cut in cuts:
        pieces.append(rest[:cut])
        rest = rest[cut:]
    parser = Parser()
    events = [event for piece in (*pieces, rest) for event in parser.feed(piece)]
    assert [(one.type, one.data, one.last_id) for one in events] == [("x", '{"ü":1}\n2', "b"), ("message", "", "b")]
    assert (parser.retry, parser.comments) == (3000, 1)


def test_the_tests_own_client_goes_on_behind_the_last_whole_event() -> None:
    """Cut off within an event it comes back with the id before, as the standard says, and is sent that event again."""
    parser = Parser("a")
    assert [one.last_id for one in parser.feed(b"id: b\ndata: 1\n\nid: c\ndata: 2\n")] == ["b"]
    assert parser.last_id == "b"
