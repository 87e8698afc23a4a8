"""Times that were missed, that meet what still goes on, and that are made up for when someone asks."""

import json
from typing import Any

import pytest

from tests.support import force, recurring
from tests.support.api import Door, assert_problem, carry_out
from tests.support.recurring import DAY, HOUR, MINUTE, fire, history


def create(door: Door, **more: Any) -> str:
    """The id of a new recurring action, whose dispatches say which time has brought them."""
    said = {} if "target" in more else {"payload": {}, "dedup_key": "{{execution_time}}"}
    return recurring.create(door, **{**said, **more})


def made() -> list[Any]:
    """The rows of all dispatches, in the order of the times that brought them."""
    rows = [row for row in recurring.made() if row.kind == "dispatch"]
    return sorted(rows, key=lambda row: json.loads(row.input)["dedup_key"])


def times() -> list[str]:
    """The times that were fired: hour and minute, with the day if it is not the first."""
    keys = [json.loads(row.input)["dedup_key"] for row in made()]
    return [key[11:16] if key.startswith("2026-11-22") else key[8:16] for key in keys]


@pytest.mark.parametrize(
    ("down", "cron", "catch_up", "fired", "missed"),
    [
        # a minute: the last time is a few seconds old, and comes whatever is made up for
        (65, "* * * * *", "latest", ["10:31"], None),
        (65, "* * * * *", "skip", ["10:31"], None),
        (65, "* * * * *", "all", ["10:31"], None),
        (125, "* * * * *", "latest", ["10:32"], ("10:31", "10:31")),
        (125, "* * * * *", "skip", ["10:32"], ("10:31", "10:31")),
        (125, "* * * * *", "all", ["10:31", "10:32"], None),
        # three hours
        (3 * HOUR, "0 * * * *", "latest", ["13:00"], ("11:00", "12:00")),
        (3 * HOUR, "0 * * * *", "skip", [], ("11:00", "13:00")),
        (3 * HOUR, "0 * * * *", "all", ["11:00", "12:00", "13:00"], None),
        # two days
        (2 * DAY, "0 */12 * * *", "latest", ["24T00:00"], ("12:00", "23T12:00")),
        (2 * DAY, "0 */12 * * *", "skip", [], ("12:00", "24T00:00")),
        (2 * DAY, "0 */12 * * *", "all", ["12:00", "23T00:00", "23T12:00", "24T00:00"], None),
    ],
)
def test_what_was_missed(
    soc: Door, clock: Any, down: int, cron: str, catch_up: str, fired: list[str], missed: tuple[str, str] | None
) -> None:
    """After a minute, three hours or two days: the last one, none, or all; the history has the others."""
    one = create(soc, cron_expr=cron, catch_up=catch_up)
    clock.shift(down)
    assert (fire(), fire()) == (1, 0)
    assert times() == fired
    found = [row for row in history(soc, one) if row["outcome"] == "missed"]
    if missed is None:
        assert found == []
    else:
        shown = [(row["execution_time"], row["missed_to"]) for row in found]
        [(first, last)] = [tuple(at[11:16] if at[8:10] == "22" else at[8:16] for at in pair) for pair in shown]
        assert (first, last) == missed
    shown = soc.call("GET", f"/v1/recurring/{one}").json
    assert shown["execution_count"] == len(fired)
    assert shown["next_execution"] > "2026-11-22T10:30"


def test_at_most_a_hundred_are_made_up_for(soc: Door, clock: Any) -> None:
    """The newest ones, in their order; two days of minutes cost no more than two hours."""
    one = create(soc, cron_expr="* * * * *", catch_up="all")
    clock.shift(2 * DAY)
    assert fire() == 1
    assert (len(times()), times()[0], times()[-1]) == (100, "24T08:51", "24T10:30")
    [missed] = [row for row in history(soc, one, limit=1000) if row["outcome"] == "missed"]
    assert (missed["execution_time"], missed["missed_to"]) == ("2026-11-22T10:31:00.000Z", "2026-11-24T08:50:00.000Z")


def test_a_number_limits_what_is_made_up_for(soc: Door, clock: Any) -> None:
    """The first ones count, as if they had come in time; then it is completed."""
    one = create(soc, catch_up="all", max_executions=2)
    clock.shift(4 * HOUR)
    fire()
    assert times() == ["11:00", "12:00"]
    assert soc.call("GET", f"/v1/recurring/{one}").json["status"] == "completed"


def test_jitter_is_the_same_for_every_process(soc: Door, clock: Any) -> None:
    """Each time is late by an amount of its own within the limit; the schedule itself does not shift."""
    one = create(soc, jitter_seconds=600)
    fired = []
    for _ in range(8 * 60):
        clock.shift(MINUTE)
        if fire():
            fired.append(soc.call("GET", f"/v1/recurring/{one}").json["last_executed_at"])
    assert [at[11:16] for at in fired] == [f"{hour}:00" for hour in range(11, 19)]
    late = [row["fired_at"][14:16] for row in history(soc, one)]
    assert len(set(late)) > 1
    assert all(int(minute) <= 11 for minute in late)


def test_while_an_earlier_one_goes_on(soc: Door, clock: Any) -> None:
    """It fires all the same, it does not, or it takes the place of the earlier one, which is cancelled."""
    ids = {overlap: create(soc, overlap=overlap) for overlap in ("allow_all", "skip", "cancel_other")}
    clock.shift(HOUR)
    assert fire() == 3
    clock.shift(HOUR)
    assert fire() == 3

    def statuses(overlap: str) -> list[str | None]:
        return [row["status"] for row in history(soc, ids[overlap])]

    assert statuses("allow_all") == ["pending", "pending"]
    assert statuses("skip") == [None, "pending"]
    assert statuses("cancel_other") == ["pending", "cancelled"]
    skipped = history(soc, ids["skip"])[0]
    assert (skipped["outcome"], skipped["reason"]["code"]) == ("skipped", "overlap")
    assert soc.call("GET", f"/v1/recurring/{ids['skip']}").json["execution_count"] == 1
    clock.shift(HOUR)
    fire()
    assert statuses("skip") == [None, None, "pending"]
    carry_out(history(soc, ids["skip"])[2]["execution_id"])
    clock.shift(HOUR)
    fire()
    assert statuses("skip")[0] == "pending"


def test_one_that_a_rule_stops_takes_no_place(soc: Door, clock: Any) -> None:
    """With ``cancel_other`` the earlier one goes on where the new one does not go out."""
    one = create(soc, overlap="cancel_other")
    clock.shift(HOUR)
    fire()
    force.put(force.rule("quiet", "suppress"), revisions={"drill": force.provider("drill", kind="mock")})
    clock.shift(HOUR)
    fire()
    assert [row["status"] for row in history(soc, one)][1] == "pending"


def test_a_run_that_goes_on_is_cancelled_with_its_steps(soc: Door, clock: Any) -> None:
    """Of a playbook the run is what goes on."""
    playbook = soc.create_playbook(steps=[{"id": "ask", "type": "approval"}])["id"]
    one = create(soc, target={"playbook": playbook}, overlap="cancel_other")
    clock.shift(HOUR)
    fire()
    clock.shift(HOUR)
    fire()
    assert [row["status"] for row in history(soc, one)] == ["pending", "cancelled"]


def test_a_backfill_brings_each_time_once(soc: Door, clock: Any) -> None:
    """What tick has fired and what was made up for is left alone; the schedule and its counts stay."""
    one = create(soc)
    path, before = f"/v1/recurring/{one}", "2026-11-22T08:00:00Z"
    clock.shift(HOUR)
    fire()
    asked = {"start": before, "end": "2026-11-22T11:30:00Z"}
    first = soc.call("POST", f"{path}/backfill", json=asked).json
    assert (first["accepted"], first["repeated"], first["next_start"]) == (3, 1, None)
    assert times() == ["08:00", "09:00", "10:00", "11:00"]
    again = soc.call("POST", f"{path}/backfill", json=asked).json
    assert (again["accepted"], again["repeated"]) == (0, 4)
    assert [row["execution_id"] for row in again["results"]] == [row["execution_id"] for row in history(soc, one)[::-1]]
    assert len(times()) == 4
    shown = soc.call("GET", path).json
    assert (shown["execution_count"], shown["next_execution"]) == (1, "2026-11-22T12:00:00.000Z")
    assert [row["backfilled_by"] is None for row in history(soc, one)] == [True, False, False, False]


def test_a_backfill_takes_what_tick_has_not_fired_yet(soc: Door, clock: Any) -> None:
    """Then tick leaves it alone, and goes on with the next time."""
    one = create(soc)
    clock.shift(HOUR)
    asked = {"start": "2026-11-22T11:00:00Z", "end": "2026-11-22T11:00:01Z"}
    assert soc.call("POST", f"/v1/recurring/{one}/backfill", json=asked).json["accepted"] == 1
    assert fire() == 1
    assert times() == ["11:00"]
    assert soc.call("GET", f"/v1/recurring/{one}").json["next_execution"] == "2026-11-22T12:00:00.000Z"


def test_a_backfill_is_bounded(soc: Door, clock: Any) -> None:
    """A month of minutes is read on part by part; wrong periods name their member."""
    one = create(soc, cron_expr="* * * * *")
    path = f"/v1/recurring/{one}/backfill"
    month = {"start": "2026-10-22T00:00:00Z", "end": "2026-11-22T00:00:00Z"}
    part = soc.call("POST", path, json={**month, "limit": 3}).json
    assert (part["accepted"], part["next_start"]) == (3, "2026-10-22T00:03:00.000Z")
    wrong = {
        "/limit": {**month, "limit": 501},
        "/end": {"start": month["start"], "end": "2026-11-22T10:31:00Z"},
        "/start": {"start": "1960-01-01T00:00:00Z", "end": month["end"]},
    }
    for pointer, body in wrong.items():
        problem = assert_problem(soc.call("POST", path, json=body), 400)
        assert [one["pointer"] for one in problem["errors"]] == [pointer]
    backwards = {"start": month["end"], "end": month["start"]}
    assert assert_problem(soc.call("POST", path, json=backwards), 400)["errors"][0]["pointer"] == "/end"
    missing = assert_problem(soc.call("POST", path, json={"end": month["end"]}), 400)
    assert missing["errors"][0]["pointer"] == "/start"


def test_the_history_is_read_on(soc: Door, clock: Any) -> None:
    """In parts, each once, the newest first."""
    one = create(soc)
    for _ in range(5):
        clock.shift(HOUR)
        fire()
    first = soc.call("GET", f"/v1/recurring/{one}/history?limit=3").json
    rest = soc.call("GET", f"/v1/recurring/{one}/history?limit=3&cursor={first['next_cursor']}").json
    shown = [row["execution_time"][11:13] for row in [*first["firings"], *rest["firings"]]]
    assert shown == ["15", "14", "13", "12", "11"]
    assert (rest["count"], rest["next_cursor"]) == (2, None)


@pytest.mark.parametrize(
    "change",
    [{"description": "x"}, {"payload": {"a": 1}}, {"max_executions": 9}, {"ends_at": "2099-01-01T00:00:00Z"}, {}],
)
def test_a_change_that_makes_no_other_times_drops_none(soc: Door, clock: Any, change: dict[str, Any]) -> None:
    """One that is late, and one that waits for its jitter, come all the same; another schedule begins from now on."""
    late, jittered, other = create(soc), create(soc, jitter_seconds=3000), create(soc)
    clock.shift(HOUR / 2 + 20)
    waits = soc.call("GET", f"/v1/recurring/{jittered}").json["next_execution"]
    for one in (late, jittered):
        assert soc.call("PUT", f"/v1/recurring/{one}", json=change).json["next_execution"] == waits
    assert soc.call("PUT", f"/v1/recurring/{other}", json={"cron_expr": "30 * * * *"}).status_code == 200
    assert fire() == 1
    clock.shift(HOUR)
    fire()
    assert [row["execution_time"][11:16] for row in history(soc, late)] == ["12:00", "11:00"]
    assert [row["execution_time"][11:16] for row in history(soc, jittered)][-1] == "11:00"
    assert [row["execution_time"][11:16] for row in history(soc, other)] == ["11:30"]


def test_another_jitter_moves_the_time_that_waits(soc: Door, clock: Any) -> None:
    """It stays the same time of the schedule; an end before it ends the whole."""
    one, over = create(soc, jitter_seconds=3000), create(soc, jitter_seconds=3000)
    clock.shift(HOUR / 2 + 20)
    assert fire() == 0
    soc.call("PUT", f"/v1/recurring/{one}", json={"jitter_seconds": 0})
    assert fire() == 1
    assert history(soc, one)[0]["execution_time"] == "2026-11-22T11:00:00.000Z"
    ended = soc.call("PUT", f"/v1/recurring/{over}", json={"ends_at": "2026-11-22T12:00:01Z"}).json
    assert ended["next_execution"] == "2026-11-22T11:00:00.000Z"
