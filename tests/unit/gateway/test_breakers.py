"""Circuit breakers: every way from state to state, probes, and the walk over fallbacks."""

from hypothesis import given
from hypothesis import strategies as st

from gateway import breakers
from gateway.breakers import (
    CLOSED,
    Breaker,
    BreakerConfig,
    ended,
    lets_through,
    probing,
    released,
    reset,
    route,
    tripped,
)

CONFIG = BreakerConfig("email", failure_threshold=3, success_threshold=2, recovery_timeout_seconds=60)
MINUTE = 60_000


def after(breaker, *ends, now=0, by="e"):
    for end in ends:
        breaker = ended(breaker, CONFIG, end, by, now) or breaker
    return breaker


def test_a_closed_breaker_without_failures_costs_nothing():
    """A success is not written where nothing is known; a final failure never is."""
    assert ended(CLOSED, CONFIG, "success", "e", 0) is None
    assert ended(CLOSED, CONFIG, "final", "e", 0) is None
    assert breakers.is_idle(CLOSED)


def test_consecutive_retryable_failures_open_it():
    """Three in a row open it, a success in between starts again, a final failure does not count."""
    assert after(CLOSED, "retryable", "retryable").state == "closed"
    assert after(CLOSED, "retryable", "retryable", "success", "retryable", "retryable").state == "closed"
    opened = after(CLOSED, "retryable", "final", "retryable", "retryable", now=5)
    assert (opened.state, opened.opened_at, opened.recover_at) == ("open", 5, MINUTE + 5)
    assert opened.version == 3


def test_an_open_breaker_lets_nothing_through_until_it_may_recover():
    """Then one probe goes out; a second one must wait for the first or for its lease."""
    opened = after(CLOSED, *["retryable"] * 3)
    assert lets_through(opened, MINUTE - 1) == "no"
    assert probing(opened, "a", MINUTE - 1) is None
    probe = probing(opened, "a", MINUTE)
    assert (probe.state, probe.probe_by) == ("half_open", "a")
    assert probing(probe, "b", MINUTE) is None
    lapsed = probing(probe, "b", MINUTE + breakers.PROBE_LEASE_MS)
    assert lapsed.probe_by == "b"
    assert ended(lapsed, CONFIG, "success", "a", MINUTE) is None


def test_probes_close_it_or_open_it_again():
    """Two successful probes close it; any failed one opens it for the whole recovery time."""
    opened = after(CLOSED, *["retryable"] * 3)
    once = ended(probing(opened, "a", MINUTE), CONFIG, "success", "a", MINUTE)
    assert (once.state, once.successes, once.probe_by) == ("half_open", 1, None)
    twice = ended(probing(once, "b", MINUTE), CONFIG, "success", "b", MINUTE)
    assert (twice.state, twice.failures, twice.successes) == ("closed", 0, 0)
    for end in ("retryable", "final"):
        again = ended(probing(once, "b", MINUTE), CONFIG, end, "b", MINUTE + 7)
        assert (again.state, again.recover_at, again.successes) == ("open", 2 * MINUTE + 7, 0)


def test_a_probe_that_did_not_call_is_given_back():
    """A probe that was cancelled frees its place and changes nothing else."""
    probe = probing(after(CLOSED, *["retryable"] * 3), "a", MINUTE)
    assert released(probe, "b") is None
    freed = released(probe, "a")
    assert lets_through(freed, MINUTE) == "probe"


def test_what_began_before_it_opened_changes_nothing():
    """Late ends of earlier calls neither close nor prolong an open breaker."""
    opened = after(CLOSED, *["retryable"] * 3)
    assert all(ended(opened, CONFIG, end, "late", 9) is None for end in ("success", "retryable", "final"))


def test_people_open_and_close_it():
    """A trip begins the recovery time, a reset forgets everything."""
    forced = tripped(after(CLOSED, "retryable"), CONFIG, "key-1", 100)
    assert (forced.state, forced.recover_at, forced.forced_by) == ("open", MINUTE + 100, "key-1")
    closed = reset(forced)
    assert (closed.state, closed.failures, closed.forced_by, closed.version) == ("closed", 0, None, 3)
    answers = [breakers.decided("email", one) for one in (forced, closed)]
    assert answers == [
        {"provider": "email", "state": "open", "message": "circuit breaker tripped"},
        {"provider": "email", "state": "closed", "message": "circuit breaker reset"},
    ]


def test_fallbacks_are_walked():
    """The first breaker that lets through is taken; a circle or an end without one is none."""
    configs = {
        "a": BreakerConfig("a", fallback_provider="b"),
        "b": BreakerConfig("b", fallback_provider="c"),
    }
    opened = Breaker(state="open", recover_at=100)
    assert route("a", configs, {}, 0) == ("a", (), False)
    assert route("a", configs, {"a": opened}, 0) == ("b", ("a",), False)
    assert route("a", configs, {"a": opened, "b": opened}, 0) == ("c", ("a", "b"), False)
    assert route("a", configs, {"a": opened}, 100) == ("a", (), True)
    assert route("a", configs, {"a": opened}, 100, frozenset({"a"})) == ("b", ("a",), False)
    alone = {"a": BreakerConfig("a")}
    assert route("a", alone, {"a": opened}, 0) == (None, ("a",), False)
    assert route("x", configs, {}, 0) == ("x", (), False)
    circle = {"a": BreakerConfig("a", fallback_provider="b"), "b": BreakerConfig("b", fallback_provider="a")}
    assert route("a", circle, {"a": opened, "b": opened}, 0) == (None, ("a", "b"), False)


def test_an_absent_fallback_is_left_out():
    """The list shows the members of the document."""
    assert breakers.shown(CONFIG, CLOSED) == {
        "provider": "email",
        "state": "closed",
        "failure_threshold": 3,
        "success_threshold": 2,
        "recovery_timeout_seconds": 60,
    }
    named = BreakerConfig("email", fallback_provider="sms")
    assert breakers.shown(named, CLOSED)["fallback_provider"] == "sms"


EVENTS = st.lists(
    st.tuples(st.sampled_from(["success", "retryable", "final", "probe", "trip", "reset"]), st.integers(0, 90_000)),
    max_size=40,
)


@given(EVENTS)
def test_laws_of_every_history(events):
    """In any history there is one probe at a time, and an open breaker lets nothing through."""
    breaker, now, holder, until = CLOSED, 0, None, 0
    for number, (event, wait) in enumerate(events):
        now += wait
        before = breaker
        if event == "probe":
            granted = probing(breaker, f"p{number}", now)
            if granted is not None:
                assert holder is None or breaker.probe_by is None or now >= until
                holder, until, breaker = f"p{number}", now + breakers.PROBE_LEASE_MS, granted
        elif event == "trip":
            breaker = tripped(breaker, CONFIG, "me", now)
        elif event == "reset":
            breaker = reset(breaker)
        else:
            breaker = ended(breaker, CONFIG, event, holder or "none", now) or breaker
        assert breaker.version == before.version + (breaker is not before)
        assert breaker.state != "closed" or breaker.failures < CONFIG.failure_threshold
        assert (lets_through(breaker, now) == "call") is (breaker.state == "closed")
        assert breaker.state != "open" or lets_through(breaker, breaker.recover_at - 1) == "no"
        assert (breaker.probe_by is not None) <= (breaker.state == "half_open")
