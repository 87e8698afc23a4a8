"""What the headers If-Match and If-None-Match list, read as RFC 9110 says (8.8.3, 13.1)."""

import contextlib
import time

import pytest

from api.http.conditional import entity_tags
from api.http.conditional.entity_tags import Listed
from config.errors import InvalidRequest


@pytest.mark.parametrize(
    ("header", "strong", "opaque"),
    [
        ('"a"', {"a"}, {"a"}),
        ('W/"a"', set(), {"a"}),
        (' "a" , W/"b",,"c" ', {"a", "c"}, {"a", "b", "c"}),
        ('"a, b"', None, None),  # a space is no character of a tag
        ('"a,b"', {"a,b"}, {"a,b"}),
        ('""', {""}, {""}),
        ('"caf\xe9"', {"caf\xe9"}, {"caf\xe9"}),
    ],
)
def test_tags_are_told_from_what_is_none(header: str, strong: set[str] | None, opaque: set[str] | None) -> None:
    """A list of tags, weak ones among them, with any blanks and empty places."""
    if strong is None or opaque is None:
        with pytest.raises(InvalidRequest):
            entity_tags.listed(header, "If-Match")
    else:
        assert entity_tags.listed(header, "If-Match") == Listed(frozenset(strong), frozenset(opaque))


@pytest.mark.parametrize("header", ["", "a", '"a', 'w/"a"', '"a" "b"', '*, "a"', '"a";q=1', "W/*", '"a"\t\x00', "**"])
def test_what_is_malformed_is_refused(header: str) -> None:
    """It is named, never taken for something near."""
    with pytest.raises(InvalidRequest, match="If-None-Match must be"):
        entity_tags.listed(header, "If-None-Match")


def test_a_long_list_is_read_in_proportion() -> None:
    """A header of any shape that is sixteen times as long takes far from the square of that as long."""

    def seconds(header: str) -> float:
        took = []
        for _ in range(5):
            began = time.process_time()
            with contextlib.suppress(InvalidRequest):
                entity_tags.listed(header, "If-Match")
            took.append(time.process_time() - began)
        return max(min(took), 1e-4)

    for part, times in (('"a",', 5_000), (",", 20_000), ('"', 20_000), ('"a"' + " " * 50, 500)):
        assert seconds(part * times * 16) < 100 * seconds(part * times), part


def test_comparisons() -> None:
    """A reader's comparison is weak, a writer's is strong; * is any; a writer relies on the definition's part."""
    tag = entity_tags.of("{}", "state")
    assert tag != entity_tags.of("[]", "state")
    for name, reads, writes in ((f'"{tag}"', True, True), (f'W/"{tag}"', True, False), ("*", True, True)):
        found = entity_tags.listed(name, "If-Match")
        assert (found.has(tag), found.relies_on("state")) == (reads, writes)
    later = entity_tags.listed(f'"{entity_tags.of("[]", "state")}"', "If-Match")
    assert (later.has(tag), later.relies_on("state"), later.has_state("state")) == (False, True, True)
    assert not entity_tags.listed('"state"', "If-Match").relies_on("state")
