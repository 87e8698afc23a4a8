"""Groups: what a rule gathers, how it is shown, and the one summary that tells of it."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from store.audit import audit
from store.engine import db
from store.executions import transitions
from store.gateway import groups
from tasks.clock.duty import TimeSlice
from tasks.clock.gateway import group_flushes
from tasks.intake import summaries as intake_summaries
from tests.support import dispatching
from tests.support.api import Door, assert_problem
from tests.support.dispatching import body, send
from tests.support.waiting import eventually

PROVIDERS = """\
providers:
  drill: {kind: mock, behaviour: answer, answer: {sent: true}}
  chat: {kind: mock, behaviour: ok}
"""
_ACTION = "{field: action.action_type, eq: %s}, action: {type: group, group_by: [action.payload.cluster]%s}"


def _rule(name: str, more: str = "") -> str:
    return f"  - {{name: {name}, condition: {_ACTION % (name, more and ', ' + more)}}}\n"


_QUIET = """\
  - name: quiet
    condition: {all: [{field: action.origin, eq: group}, {field: action.metadata.rule, eq: hush}]}
    action: {type: suppress, reason: not now}
"""
RULES = "rules:\n" + "".join(
    [
        _rule("plain"),
        _rule(
            "chat", 'notify_provider: chat, template: "{{ group.size }} in {{ labels.cluster }}: {{ counts.resolved }}"'
        ),
        _rule("three", "max_group_size: 3"),
        _rule("now", "first: now"),
        _rule("over", "flush_on: [resolved, full]"),
        _rule("again", "repeat_interval_seconds: 60"),
        _QUIET,
        _rule("hush"),
    ]
)


@contextlib.contextmanager
def gathering(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[Door]:
    """The application with rules that gather."""
    monkeypatch.setenv("TOCSIN_DISPATCH_WAIT", "0")
    found = Door()
    dispatching.put_in_force(monkeypatch, folder, providers=PROVIDERS, rules=RULES)
    yield found
    dispatching.forget()


@pytest.fixture
def everywhere(database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Door]:
    """It, on each kind of database."""
    with gathering(monkeypatch, tmp_path) as found:
        yield found


@pytest.fixture
def door(first_database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Door]:
    """It; on PostgreSQL in the gate only."""
    with gathering(monkeypatch, tmp_path) as found:
        yield found


def gather(door: Door, kind: str = "plain", cluster: str = "eu", **more: Any) -> dict[str, Any]:
    """Dispatch something that a rule gathers; the outcome."""
    payload = {"cluster": cluster, "password": "hunter2", **more.pop("payload", {})}
    answer = send(door, body(action_type=kind, payload=payload, **more))
    assert answer.status_code == 200, answer.text
    assert answer.json["outcome"] == "grouped", answer.text
    found: dict[str, Any] = answer.json
    return found


def pass_time(seconds: float) -> None:
    """Let this much time pass for all groups, as their rows know it."""
    columns = ("created_at", "notify_at", "due_at", "closed_at", "notified_at")
    with db.write() as connection:
        moved = {name: groups.event_groups.c[name] - int(seconds * 1000) for name in columns}
        connection.execute(sa.update(groups.event_groups).values(moved))


def flush_due() -> int:
    return group_flushes.flush_due(TimeSlice())


def summaries() -> list[dict[str, Any]]:
    """The summaries that were accepted, the oldest first, as they were dispatched."""
    with db.read() as connection:
        rows = connection.execute(transitions.executions.select().order_by(transitions.executions.c.id)).all()
    found = [row for row in rows if row.gate and json.loads(row.gate)["origin"] == "group"]
    return [{"row": row.id, "queue": row.status, **json.loads(row.input)} for row in found]


def one(door: Door, name: str, **options: Any) -> Any:
    answer = door.call("GET", f"/v1/groups/{name}", **options)
    assert answer.status_code == 200, answer.text
    return answer.json


def listed(door: Door, query: str = "", **options: Any) -> Any:
    answer = door.call("GET", f"/v1/groups{query}", **options)
    assert answer.status_code == 200, answer.text
    return answer.json


def test_what_agrees_is_gathered_and_sent_once_in_one_summary(everywhere: Door) -> None:
    """Its size grows; when its time has come, one dispatch with the origin group tells of all, and no second one."""
    door = everywhere
    first = gather(door, status="firing", fingerprint="a", payload={"severity": "high"})
    second = gather(door, status="resolved", fingerprint="a", id="given-2", payload={"severity": "high"})
    other = gather(door, cluster="us")
    assert (first["group_size"], second["group_size"], other["group_size"]) == (1, 2, 1)
    assert first["group_id"] == second["group_id"] != other["group_id"]
    assert first["notify_at"] == second["notify_at"]
    assert flush_due() == 0
    pass_time(31)
    assert flush_due() == 2
    assert flush_due() == 0
    sent, _ = summaries()
    assert (sent["action_type"], sent["provider"], sent["tenant"], sent["namespace"]) == (
        "group_notification",
        "drill",
        "default",
        "notifications",
    )
    payload = sent["payload"]
    assert payload["event_count"] == 2
    assert payload["counts"] == {"status": {"firing": 1, "resolved": 1}, "severity": {"high": 2}, "resolved": 1}
    assert payload["labels"] == {"cluster": "eu"}
    assert [(event["id"], event["status"], event["resolved"]) for event in payload["events"]] == [
        (first["action_id"], "firing", False),
        ("given-2", "resolved", True),
    ]
    assert "hunter2" not in json.dumps(payload)
    assert payload["text"] == "2 events, 1 of them resolved: cluster=eu (rule plain)"
    assert payload["url"].endswith(f"/v1/groups/{first['group_id']}")


def test_a_group_is_listed_while_it_gathers_and_shown_with_every_member(door: Door) -> None:
    """The list has what is not sent; one group has its labels and its members with masked payloads, also afterwards."""
    outcome = gather(door, fingerprint="a", status="firing")
    gather(door, fingerprint="b")
    [shown] = listed(door)["groups"]
    assert listed(door)["total"] == 1
    assert (shown["group_id"], shown["event_count"], shown["state"]) == (outcome["group_id"], 2, "pending")
    assert shown["notify_at"] == outcome["notify_at"]
    found = one(door, shown["group_key"])
    assert found["group"] == shown
    assert found["labels"] == {"cluster": "eu"}
    assert [event["fingerprint"] for event in found["events"]] == ["a", "b"]
    assert found["events"][0]["payload"] == {"cluster": "eu", "password": "********"}
    assert one(door, shown["group_id"]) == found
    part = one(door, f"{shown['group_key']}?limit=1")
    assert [event["fingerprint"] for event in part["events"]] == ["a"]
    rest = one(door, f"{shown['group_key']}?limit=1&cursor={part['next_cursor']}")
    assert ([event["fingerprint"] for event in rest["events"]], rest["next_cursor"]) == (["b"], None)
    compat = door.call("GET", f"/compat/v1/groups/{shown['group_key']}").json
    assert compat["events"] == ["a", "b"]
    pass_time(31)
    flush_due()
    assert listed(door) == {"groups": [], "total": 0, "next_cursor": None}
    sent = one(door, shown["group_key"])
    assert (sent["group"]["state"], sent["group"]["summary_id"]) == ("notified", summaries()[0]["row"])
    assert len(sent["events"]) == 2


def test_a_list_is_read_on_by_its_cursor(door: Door) -> None:
    """Each group once, with the total of all."""
    keys = [gather(door, cluster=f"c-{number}")["group_id"] for number in range(5)]
    found, cursor = [], ""
    while cursor is not None:
        page = listed(door, f"?limit=2&rule=plain{cursor and '&cursor=' + cursor}")
        assert page["total"] == 5
        found += [group["group_id"] for group in page["groups"]]
        cursor = page["next_cursor"]
    assert found == keys[::-1]
    assert_problem(door.call("GET", "/v1/groups?cursor=nonsense"), 400)
    assert_problem(door.call("GET", "/v1/groups?state=pending"), 400)


def test_a_flush_accepts_the_summary_before_it_answers(everywhere: Door) -> None:
    """DELETE closes the window; the next member opens another; a second flush finds nothing."""
    door = everywhere
    gather(door)
    outcome = gather(door)
    key = one(door, outcome["group_id"])["group"]["group_key"]
    answer = door.call("DELETE", f"/v1/groups/{key}")
    assert answer.status_code == 200, answer.text
    [sent] = summaries()
    assert answer.json == {
        "group_id": outcome["group_id"],
        "group_key": key,
        "event_count": 2,
        "status": "flushed",
        "notified": True,
        "summary_id": sent["row"],
    }
    assert (sent["payload"]["event_count"], sent["queue"]) == (2, "pending")
    assert_problem(door.call("DELETE", f"/v1/groups/{key}"), 404)
    assert_problem(door.call("DELETE", "/v1/groups/nothing"), 404)
    again = gather(door)
    assert (again["group_size"], again["group_id"] != outcome["group_id"]) == (1, True)
    with db.read() as connection:
        rows = connection.execute(sa.select(audit).where(audit.c.event == "group.flushed")).all()
    assert [(row.subject, row.actor) for row in rows] == [(outcome["group_id"], door.admin.split("_")[1])]


def test_a_full_group_is_sent_at_once_and_the_next_one_waits_for_the_interval(everywhere: Door) -> None:
    """Nothing is dropped: the member beyond the size begins another window."""
    door = everywhere
    outcomes = [gather(door, "three") for _ in range(7)]
    assert [outcome["group_size"] for outcome in outcomes] == [1, 2, 3, 1, 2, 3, 1]
    assert [sent["payload"]["event_count"] for sent in summaries()] == [3, 3]
    assert len({outcome["group_id"] for outcome in outcomes}) == 3
    [left] = listed(door)["groups"]
    assert left["event_count"] == 1
    row = db.read_one(groups.read, left["group_id"])
    assert row is not None
    assert 299_000 <= row.notify_at - row.created_at <= 300_000


def test_a_batch_counts_each_of_its_members_once(everywhere: Door) -> None:
    """Members of one transaction get sizes in a row, across the windows that they fill or end, and all are stored."""
    door = everywhere

    def sent(kind: str, **more: Any) -> dict[str, Any]:
        return body(action_type=kind, payload={"cluster": "eu"}, **more)

    actions = [sent("three") for _ in range(7)]
    actions += [sent("plain"), sent("over", fingerprint="a", status="firing"), sent("plain")]
    actions += [sent("over", fingerprint="a", status="resolved"), sent("over", fingerprint="b", status="firing")]
    answer = door.call("POST", "/v1/dispatch/batch", json={"actions": actions})
    assert answer.status_code == 200, answer.text
    sizes = [result["outcome"]["group_size"] for result in answer.json["results"]]
    assert sizes == [1, 2, 3, 1, 2, 3, 1, 1, 1, 2, 2, 1]
    assert sorted(one["payload"]["event_count"] for one in summaries()) == [2, 3, 3]
    assert sorted(one["event_count"] for one in listed(door)["groups"]) == [1, 1, 2]
    with db.read() as connection:
        windows = connection.execute(sa.select(groups.event_groups)).all()
        members = connection.execute(sa.select(groups.group_events)).all()
    for window in windows:
        mine = sorted(member.seq for member in members if member.group_id == window.id)
        assert mine == list(range(1, window.size + 1))


def test_groups_that_close_in_quick_succession_are_flushed_together(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first ones with the answer to their last member, the others a moment later: each once, without tick."""
    monkeypatch.setattr(intake_summaries, "LATELY", 60.0)
    monkeypatch.setattr(intake_summaries, "MOMENT", 0.2)
    monkeypatch.setattr(intake_summaries, "_closed", intake_summaries._Closed())
    flush, flushed = intake_summaries.flush_due, list[int]()

    def counted(*, limit: int, **more: Any) -> int:
        flushed.append(flush(limit=limit, **more))
        return flushed[-1]

    monkeypatch.setattr(intake_summaries, "flush_due", counted)
    names = [f"cluster-{number}" for number in range(intake_summaries.FEW + 15)]
    for number, name in enumerate(names):
        gather(door, "now", cluster=name)
        if number < intake_summaries.FEW:
            assert [sent["payload"]["labels"]["cluster"] for sent in summaries()] == names[: number + 1]
    eventually(lambda: len(summaries()) == len(names), 20, "all have gone out")
    assert sum(flushed) == len(names)
    assert len(flushed) < len(names) - 5
    assert sorted(sent["payload"]["labels"]["cluster"] for sent in summaries()) == sorted(names)
    gather(door, "now", cluster="later")
    eventually(lambda: len(summaries()) == len(names) + 1, 20, "one that comes afterwards goes out too")


def test_the_first_of_a_new_group_is_sent_at_once_with_first_now(door: Door) -> None:
    """The rest is gathered, first for the wait and then for the interval; after that the group is a new one."""
    gather(door, "now")
    assert [sent["payload"]["event_count"] for sent in summaries()] == [1]
    for size in (1, 2):
        assert gather(door, "now")["group_size"] == size
    assert flush_due() == 0
    pass_time(31)
    assert flush_due() == 1
    assert [sent["payload"]["event_count"] for sent in summaries()] == [1, 2]
    gather(door, "now")
    pass_time(200)
    assert flush_due() == 0
    pass_time(100)
    assert flush_due() == 1
    pass_time(301)
    gather(door, "now")
    assert [sent["payload"]["event_count"] for sent in summaries()] == [1, 2, 1, 1]


def test_a_group_that_is_over_waits_for_nothing(door: Door) -> None:
    """With flush_on: resolved it is sent as soon as nothing in it fires any more."""
    gather(door, "over", fingerprint="a", status="firing")
    gather(door, "over", fingerprint="b", status="firing")
    gather(door, "over", fingerprint="a", status="resolved")
    assert summaries() == []
    gather(door, "over", fingerprint="b", ends_at="2020-01-01T00:00:00Z")
    [sent] = summaries()
    assert (sent["payload"]["event_count"], sent["payload"]["counts"]["resolved"]) == (4, 2)


def test_what_is_not_resolved_is_sent_again(door: Door) -> None:
    """After repeat_interval_seconds, until it is resolved; what has no fingerprint is sent once."""
    gather(door, "again", fingerprint="a", status="firing")
    gather(door, "again", fingerprint="b", status="resolved")
    gather(door, "again")
    pass_time(31)
    assert flush_due() == 1
    assert flush_due() == 0
    pass_time(61)
    assert flush_due() == 1
    payload = summaries()[-1]["payload"]
    assert (payload["repeat"], payload["event_count"]) == (1, 1)
    assert payload["subject"].startswith("Still: 1 event: cluster=eu")
    gather(door, "again", fingerprint="a", status="resolved")
    pass_time(301)
    assert flush_due() == 2
    assert summaries()[-1]["payload"]["status"] == "resolved"
    pass_time(61)
    flush_due()
    assert flush_due() == 0
    assert len(summaries()) == 3


def test_nothing_is_repeated_once_its_rule_is_gone(door: Door) -> None:
    """Nor while it is disabled."""
    gather(door, "again", fingerprint="a", status="firing")
    pass_time(31)
    assert flush_due() == 1
    everywhere = door.key(grants=[{"tenants": ["*"]}])
    switched = door.call("PUT", "/v1/rules/again/enabled", key=everywhere, json={"enabled": False})
    assert switched.status_code == 200, switched.text
    pass_time(61)
    flush_due()
    pass_time(61)
    assert flush_due() == 0
    assert len(summaries()) == 1


def test_a_group_that_is_repeated_can_be_ended(door: Door) -> None:
    """DELETE flushes what gathers; once notified it ends what would be repeated, also one that is claimed by now."""
    group = f"/v1/groups/{gather(door, 'again', fingerprint='f', status='firing')['group_id']}"
    assert door.call("DELETE", group).json["status"] == "flushed"
    pass_time(61)
    with db.write() as connection:
        claimed = groups.claim(connection, limit=10, lease=intake_summaries.LEASE)
    ended = door.call("DELETE", group)
    assert (ended.status_code, ended.json["status"], ended.json["notified"]) == (200, "ended", False)
    intake_summaries.flush(claimed)
    pass_time(61)
    assert flush_due() == 0
    with db.write() as connection:
        assert not groups.end(connection, claimed[0].id), "it ends once"
    assert len(summaries()) == 1
    assert_problem(door.call("DELETE", group), 404)


def test_a_repeated_summary_reads_no_more_members_than_it_shows(door: Door) -> None:
    """It counts all that fire still."""
    for number in range(25):
        found = gather(door, "again", fingerprint=f"f-{number}", status="firing")
    pass_time(31)
    flush_due()
    again = intake_summaries._still_fires(db.read_one(groups.read, found["group_id"]))
    assert again is not None
    assert (again.size, len(again.events)) == (25, 20)


def test_a_summary_goes_by_its_own_provider_with_its_own_text(door: Door) -> None:
    """With notify_provider, members of all providers are gathered together."""
    gather(door, "chat", status="resolved")
    gather(door, "chat", provider="chat")
    pass_time(31)
    assert flush_due() == 1
    [sent] = summaries()
    assert (sent["provider"], sent["payload"]["text"]) == ("chat", "2 in eu: 1")


def test_a_rule_may_stop_a_summary_as_any_dispatch(door: Door) -> None:
    """Its record says so; the flush says that nobody is notified."""
    outcome = gather(door, "hush")
    answer = door.call("DELETE", f"/v1/groups/{outcome['group_id']}")
    assert (answer.status_code, answer.json["notified"]) == (200, False)
    record = door.call("GET", f"/v1/audit/{answer.json['summary_id']}").json
    assert (record["outcome"], record["origin"], record["matched_rule"]) == ("suppressed", "group", "quiet")


def test_a_silence_may_stop_a_summary_as_any_dispatch(door: Door) -> None:
    """The flush says that nobody is notified."""
    matchers = [{"name": "action.origin", "value": "group"}]
    made = door.call("POST", "/v1/silences", json={"matchers": matchers, "duration_seconds": 60, "comment": "CHG-1"})
    assert made.status_code == 201, made.text
    outcome = gather(door)
    answer = door.call("DELETE", f"/v1/groups/{outcome['group_id']}")
    assert (answer.status_code, answer.json["notified"]) == (200, False)
    record = door.call("GET", f"/v1/audit/{answer.json['summary_id']}").json
    assert (record["outcome"], record["origin"]) == ("silenced", "group")


def test_a_group_whose_provider_is_gone_stays_and_is_tried_again(
    door: Door, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It says why; once the provider is back, its summary goes out."""
    outcome = gather(door, "chat")
    here = tmp_path / "without"
    here.mkdir()
    without = PROVIDERS.replace("chat:", "other:")
    dispatching.put_in_force(monkeypatch, here, providers=without, rules="rules: []\n")
    pass_time(31)
    assert flush_due() == 1
    shown = one(door, outcome["group_id"])["group"]
    assert (shown["state"], "chat" in shown["error"]) == ("pending", True)
    assert_problem(door.call("DELETE", f"/v1/groups/{outcome['group_id']}"), 409)
    dispatching.put_in_force(monkeypatch, tmp_path, providers=PROVIDERS, rules=RULES)
    pass_time(600)
    assert flush_due() == 1
    assert one(door, outcome["group_id"])["group"]["error"] is None
    assert len(summaries()) == 1


def test_a_gathered_dispatch_has_its_record(door: Door) -> None:
    """With the rule, the group and the masked payload; the same id again is answered with the first outcome."""
    outcome = gather(door, id="one")
    record = door.call("GET", "/v1/audit/one").json
    assert (record["outcome"], record["verdict"], record["matched_rule"]) == ("grouped", "group", "plain")
    assert (record["details"]["group_id"], record["payload"]["password"]) == (outcome["group_id"], "********")
    assert gather(door, id="one") == outcome
    assert one(door, outcome["group_id"])["group"]["event_count"] == 1
    dry = send(door, body(action_type="plain", payload={"cluster": "eu"}), "/v1/dispatch?dry_run=true").json
    assert (dry["outcome"], dry["verdict"], dry["matched_rule"]) == ("dry_run", "group", "plain")
    tagged = send(door, body(action_type="plain", payload={"cluster": "eu"}), "/compat/v1/dispatch").json
    assert tagged["Grouped"]["group_size"] == 2


def test_a_process_that_dies_between_closing_and_telling_loses_nothing(door: Door) -> None:
    """The window is due again when the claim is over, and sent once."""
    outcome = gather(door)
    pass_time(31)
    with db.write() as connection:
        assert len(groups.claim(connection, limit=10, lease=15_000)) == 1
    assert gather(door)["group_id"] != outcome["group_id"]
    assert flush_due() == 0
    pass_time(16)
    assert flush_due() == 1
    assert [sent["payload"]["event_count"] for sent in summaries()] == [1]


def test_old_groups_are_forgotten_with_their_members(door: Door) -> None:
    """Those that were sent; what is pending stays, however old."""
    gather(door)
    pass_time(31)
    flush_due()
    gather(door, cluster="us")
    with db.write() as connection:
        assert groups.forget(connection, before=db.now_ms() + 1000) == 1
    with db.read() as connection:
        assert len(connection.execute(sa.select(groups.group_events)).all()) == 1
    assert listed(door)["total"] == 1


def test_members_beyond_the_grants_are_not_shown(door: Door) -> None:
    """A key that covers one action type sees of a group what is of that type, and foreign groups are none."""
    key = one(door, gather(door)["group_id"])["group"]["group_key"]
    few = door.key(grants=[{"tenants": ["default"], "actions": ["other"]}])
    assert one(door, key, key=few)["events"] == []
    assert len(one(door, key, key=door.key(grants=[{"tenants": ["default"], "actions": ["plain"]}]))["events"]) == 1
    stranger = door.key(workspace="elsewhere")
    for method in ("GET", "DELETE"):
        assert_problem(door.call(method, f"/v1/groups/{key}", key=stranger), 404)
    assert listed(door, key=stranger)["total"] == 0
    assert_problem(door.call("GET", "/v1/groups?tenant=default", key=stranger), 403)
