"""Links that decide are signed over all that they stand for."""

from dataclasses import replace

import pytest

from gateway.approvals import digest
from gateway.approvals.signing import Key, Link, is_right, signed

RING = (Key("new", b"n" * 32), Key("old", b"o" * 32))
LINK = Link(
    namespace="alerts", tenant="acme", approval_id="apr-1", decision="approve", expires_at=2_000_000_000, digest="d"
)


def test_the_first_key_signs_and_every_key_verifies():
    """A link names its key; one that names another is wrong."""
    kid, sig = signed(RING, LINK)
    assert kid == "new"
    assert is_right(RING, LINK, sig, "new")
    assert is_right(RING, LINK, sig, None)
    assert not is_right(RING, LINK, sig, "old")
    _, older = signed(RING[1:], LINK)
    assert is_right(RING, LINK, older, "old")
    assert not is_right(RING[:1], LINK, older, None)


@pytest.mark.parametrize(
    "change",
    [
        {"namespace": "alert"},
        {"namespace": "alertsa", "tenant": "cme"},
        {"tenant": "acme.eu"},
        {"approval_id": "apr-2"},
        {"decision": "reject"},
        {"expires_at": 2_000_000_001},
        {"digest": "e"},
        {"recipient": ""},
        {"recipient": "kim"},
    ],
)
def test_each_part_is_signed(change):
    """No part can be changed, left out, or moved into its neighbour."""
    _, sig = signed(RING, LINK)
    assert not is_right(RING, replace(LINK, **change), sig, None)


def test_a_digest_is_of_what_is_done():
    """The order of members does not matter; any value, the type of a value, and its place do."""
    one = digest.of("rev-1", "mail", "send", {"a": 1, "b": [2]}, None)
    assert one == digest.of("rev-1", "mail", "send", {"b": [2], "a": 1}, None)
    others = [
        ("rev-2", "mail", "send", {"a": 1, "b": [2]}, None),
        ("rev-1", "page", "send", {"a": 1, "b": [2]}, None),
        ("rev-1", "mail", "sent", {"a": 1, "b": [2]}, None),
        ("rev-1", "mail", "send", {"a": "1", "b": [2]}, None),
        ("rev-1", "mail", "send", {"a": 1, "b": [2]}, "h-1"),
    ]
    assert len({one, *(digest.of(*each) for each in others)}) == 6
