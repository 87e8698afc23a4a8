"""The trace context of a request, and that of a child."""

import pytest

from gateway import traces

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    "parent",
    [
        None,
        "",
        "00-zz",
        PARENT + "-more",
        "ff" + PARENT[2:],
        PARENT.upper(),
        "00-" + "0" * 32 + PARENT[35:],
        PARENT[:36] + "0" * 16 + "-01",
    ],
)
def test_a_malformed_parent_is_none(parent: str | None) -> None:
    """It is as if none had been sent, and takes the state with it."""
    assert traces.read(parent, "a=b") == {}


def test_a_later_version_is_read_as_this_one() -> None:
    """What it adds is left out."""
    assert traces.read("01" + PARENT[2:] + "-more", None) == {"traceparent": PARENT}


@pytest.mark.parametrize(
    ("state", "kept"), [("a=b, c=d", "a=b,c=d"), ("a=b,a=c", None), ("A=b", None), ("a=" * 300, None)]
)
def test_a_malformed_state_is_left_out(state: str, kept: str | None) -> None:
    """The parent counts all the same."""
    assert traces.read(PARENT, state).get("tracestate") == kept


def test_a_child_has_a_span_of_its_own() -> None:
    """In the same trace, with the same flags and state; two children differ."""
    context = traces.read(PARENT, "a=b")
    first, second = traces.child(context), traces.child(context)
    assert first["traceparent"][:36] == PARENT[:36]
    assert first["traceparent"][-3:] == "-01"
    assert len({PARENT, first["traceparent"], second["traceparent"]}) == 3
    assert first["tracestate"] == "a=b"
    assert traces.child({}) == {}
    assert traces.trace_id(context) == PARENT[3:35]
