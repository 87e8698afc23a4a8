"""Recurring actions as they are written: what is refused, what they may name, and how many there may be."""

import json
import re
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from config.settings import settings
from config.times import stamp
from store import audit
from store.engine import db
from tests.support import dispatching
from tests.support.api import Door, assert_problem

PROVIDERS = "providers:\n  drill: {kind: mock}\n  look-up: {kind: action, action: act-look}\n"
PROVIDERS += "  look-off: {kind: action, action: act-look, enabled: false}\n"
DAILY: dict[str, Any] = {
    "namespace": "soc",
    "tenant": "default",
    "cron_expr": "0 9 * * *",
    "provider": "drill",
    "action_type": "report",
    "payload": {"to": "soc"},
}
#: without what a dispatch has
BARE = {name: DAILY[name] for name in ("namespace", "tenant", "cron_expr")}


@pytest.fixture
def soc(database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Door]:
    """The application on each database, with a provider."""
    made = Door()
    dispatching.put_in_force(monkeypatch, tmp_path, providers=PROVIDERS)
    yield made
    dispatching.forget()


def create(door: Door, body: dict[str, Any], key: str = "") -> dict[str, Any]:
    """A new recurring action, as its answer shows it."""
    answer = door.call("POST", "/v1/recurring", key, json=body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json
    return found


def pointers(answer: Any, status: int) -> list[str]:
    """The members that a refusal names."""
    return [one["pointer"] for one in assert_problem(answer, status)["errors"]]


@pytest.mark.parametrize(
    "cron",
    [
        "* * * *",
        "0 * * * * *",
        "0 0 * * * * *",
        "61 * * * *",
        "@daily",
        "0 0 31 2 *",
        "0 0 30 2 *",
        "",
        "*",
        "x" * 10000,
        "*/0 * * * *",
        "* * * * * ",
        5,
    ],
)
def test_a_schedule_that_cannot_be_used_is_refused(door: Door, cron: Any) -> None:
    """Other numbers of fields, times that never come, words, seconds, ten thousand characters."""
    dispatching.mock_in_force()
    answer = door.call("POST", "/v1/recurring", json={**DAILY, "cron_expr": cron})
    if cron == "* * * * * ":
        assert answer.status_code == 201  # five fields all the same
    else:
        assert pointers(answer, 400) == ["/cron_expr"]


@pytest.mark.parametrize("zone", ["europe/berlin", "Europe", "../etc/passwd", "/etc/localtime", "", "x" * 5000, 7])
def test_a_time_zone_that_cannot_be_used_is_refused(door: Door, zone: Any) -> None:
    """Other case, paths, no zone at all."""
    dispatching.mock_in_force()
    assert pointers(door.call("POST", "/v1/recurring", json={**DAILY, "timezone": zone}), 400) == ["/timezone"]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"ends_at": "2020-01-01T00:00:00Z"}, "/ends_at"),
        ({"end_date": "2020-01-01T00:00:00Z"}, "/end_date"),
        ({"ends_at": "2199-01-01T00:00:00Z", "end_date": "2199-01-01T00:00:01Z"}, "/end_date"),
        ({"ends_at": "soon"}, "/ends_at"),
        ({"ends_at": "2199-01-01T00:00:00"}, "/ends_at"),
        ({"cron_expression": "0 8 * * *"}, "/cron_expression"),
        ({"max_executions": 0}, "/max_executions"),
        ({"max_executions": 1.5}, "/max_executions"),
        ({"catch_up": "some"}, "/catch_up"),
        ({"overlap": "never"}, "/overlap"),
        ({"jitter_seconds": -1}, "/jitter_seconds"),
        ({"jitter_seconds": 86_400}, "/jitter_seconds"),
        ({"cron_expr": "* * * * *", "jitter_seconds": 60}, "/jitter_seconds"),
        ({"skip_during": ["unknown"]}, "/skip_during/0"),
        ({"dedup_key": "{{ tenant }}"}, "/dedup_key"),
        ({"dedup_key": "a\nb"}, "/dedup_key"),
        ({"payload": []}, "/payload"),
        ({"payload": {"token": "********"}}, "/payload"),
        ({"metadata": {"a": 1}}, "/metadata/a"),
        ({"labels": {"a": 1}}, "/labels/a"),
        ({"labels": {"a": "1"}, "metadata": {"b": "2"}}, "/labels"),
        ({"name": ""}, "/name"),
        ({"enabled": "yes"}, "/enabled"),
        ({"cron": "* * * * *"}, "/cron"),
        ({"target": {"action": "act-x"}}, "/provider"),
        ({"id": "rec-mine"}, "/id"),
    ],
)
def test_members_that_do_not_fit_are_named(door: Door, change: dict[str, Any], pointer: str) -> None:
    """Each fault is a 400 with the pointer of its member, in a new one and in a change."""
    dispatching.mock_in_force()
    made = create(door, DAILY)["id"]
    assert pointer in pointers(door.call("POST", "/v1/recurring", json={**DAILY, **change}), 400)
    if "cron_expression" not in change and "target" not in change:
        assert pointer in pointers(door.call("PUT", f"/v1/recurring/{made}", json=change), 400)


def test_an_end_before_the_first_time_is_named(door: Door) -> None:
    """It is in the future, and nothing comes before it."""
    dispatching.mock_in_force()
    soon = stamp(db.now_ms() + 3_600_000)
    far = time.gmtime(time.time() + 180 * 86_400)  # half a year away
    body = {**DAILY, "cron_expr": f"0 0 {min(far.tm_mday, 28)} {far.tm_mon} *", "ends_at": soon}
    refused = assert_problem(door.call("POST", "/v1/recurring", json=body), 400)
    assert "before the first time" in refused["errors"][0]["detail"]


def test_what_it_names_must_be_there(soc: Door) -> None:
    """Unknown, of another tenant, or with values that do not fit: 422 with the member."""
    stranger = soc.key("admin", workspace="elsewhere")
    there = soc.call("POST", "/api/actions", stranger, json={**_ACTION, "id": "act-theirs"})
    assert there.status_code == 201
    soc.create(**{**_ACTION, "id": "act-look"})
    needy = soc.create_playbook(target_required=True)["id"]
    tried = {
        "/provider": {**DAILY, "provider": "dril"},
        "/target/action": {**BARE, "target": {"action": "act-theirs"}},
        "/target/playbook": {**BARE, "target": {"playbook": needy}},
        "/target/parameters/host": {**BARE, "target": {"action": "act-look", "parameters": {"host": 5}}},
        "/target/parameters/token": {**BARE, "target": {"action": "act-look", "parameters": {"token": "x"}}},
        "/payload/host": {**DAILY, "provider": "look-up", "payload": {"host": []}},
    }
    for pointer, body in tried.items():
        assert pointer in pointers(soc.call("POST", "/v1/recurring", json=body), 422), pointer
    for target in (
        {},
        {"action": "a", "playbook": "p"},
        {"playbook": needy, "target": "h"},
        [],
        {"action": "a", "x": 1},
    ):
        assert pointers(soc.call("POST", "/v1/recurring", json={**BARE, "target": target}), 400), target
    made = create(soc, {**BARE, "target": {"action": "act-look", "parameters": {"host": "h"}, "target": "web-1"}})
    shown = soc.call("GET", f"/v1/recurring/{made['id']}").json
    assert shown["target"] == {"action": "act-look", "parameters": {"host": "h"}, "target": "web-1"}
    assert (shown["provider"], shown["action_type"]) == ("action", "act-look")


@pytest.mark.parametrize(("provider", "disables"), [("look-up", True), ("look-off", False)])
def test_a_secret_is_not_taken_for_what_is_disabled(soc: Door, provider: str, disables: bool) -> None:
    """What may be enabled again is checked as if it were: in a new one and in a change; other values are taken."""
    soc.create(**{**_ACTION, "id": "act-look"})
    if disables:
        assert soc.call("POST", "/api/actions/act-look/disable").status_code == 200
    by_provider = {**DAILY, "provider": provider}
    target = {**BARE, "target": {"action": "act-look", "parameters": {"host": "h"}}}
    for body, values, pointer in (
        (by_provider, {"payload": {"token": "hunter2"}}, "/payload/token"),
        (target, {"target": {"action": "act-look", "parameters": {"token": "hunter2"}}}, "/target/parameters/token"),
    ):
        assert pointers(soc.call("POST", "/v1/recurring", json={**body, **values}), 422) == [pointer]
        made = create(soc, {**body, **({"payload": {"host": "h"}} if "payload" in values else {})})
        assert pointers(soc.call("PUT", f"/v1/recurring/{made['id']}", json=values), 422) == [pointer]


_ACTION: dict[str, Any] = {
    "name": "Look",
    "type": "webhook",
    "executor": "webhook",
    "config": {"url": "http://h/"},
    "parameters": [{"name": "host", "type": "string"}, {"name": "token", "type": "secret"}],
}


def test_what_is_carried_out_needs_its_own_permission(soc: Door) -> None:
    """A caller who may dispatch and not trigger actions makes no recurring action of one."""
    soc.create(**{**_ACTION, "id": "act-look"})
    key = soc.key("operator", scopes=("dispatch", "read:audit"))
    create(soc, DAILY, key)
    assert_problem(soc.call("POST", "/v1/recurring", key, json={**BARE, "target": {"action": "act-look"}}), 403)


def test_secrets_in_a_payload_are_masked(soc: Door) -> None:
    """Members that are called like a secret, wherever the payload is shown."""
    made = create(soc, {**DAILY, "payload": {"password": "hunter2", "to": "x"}})
    assert soc.call("GET", f"/v1/recurring/{made['id']}").json["payload"] == {"password": "********", "to": "x"}


def test_a_change_leaves_the_rest(soc: Door) -> None:
    """The next time stays unless the times change; null takes back what may be missing; the trail has it."""
    end = "2199-01-01T00:00:00.000Z"
    made = create(soc, {**DAILY, "name": "report", "ends_at": end, "max_executions": 5, "labels": {"team": "soc"}})
    path = f"/v1/recurring/{made['id']}"
    listed = "/v1/recurring?namespace=soc&tenant=default&labels="
    assert [soc.call("GET", listed + one).json["count"] for one in ("team=soc", "team=net", "te=soc")] == [1, 0, 0]
    first = soc.call("PUT", path, json={"description": "new", "name": None, "max_executions": None}).json
    assert (first["description"], first["name"], first["max_executions"], first["ends_at"]) == ("new", None, None, end)
    assert first["next_execution"] == made["next_execution"]
    assert soc.call("PUT", path, json={"enabled": False}).json["status"] == "paused"
    again = soc.call("PUT", path, json={"enabled": True, "timezone": "Asia/Kolkata"}).json
    assert again["status"] == "active"
    assert again["next_execution"][11:16] == "03:30"
    with db.read() as connection:
        trail = [row.event for row in audit.of(connection, "default", made["id"])]
    assert trail == ["recurring.created", "recurring.changed", "recurring.changed", "recurring.changed"]


def test_there_are_so_few_at_most(soc: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exactly as many as the setting says in one namespace, however many are made at once; then 409."""
    monkeypatch.setenv("TOCSIN_RECURRING_MOST", "5")
    settings.cache_clear()
    statuses: list[int] = []

    def make() -> None:
        statuses.append(soc.app.test_client().post("/v1/recurring", json=DAILY, headers=headers).status_code)

    headers = {"Authorization": f"Bearer {soc.admin}"}
    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [201] * 5 + [409] * 3
    refused = assert_problem(soc.call("POST", "/v1/recurring", json=DAILY), 409)
    assert refused["code"] == "too_many_recurring"
    create(soc, {**DAILY, "namespace": "other"})


def test_the_page_s_examples_work(database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What docs/recurring.md shows can be loaded and made: calendars, the rule that names them, the digest."""
    page = Path("docs/recurring.md").read_text()
    calendars, rules = re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    files = {"providers": "providers: {mail: {kind: mock}}", "time_intervals": calendars}
    dispatching.put_in_force(monkeypatch, tmp_path, **files, rules="rules:\n" + textwrap.indent(rules, "  "))
    door = Door()
    key = door.key("admin", grants=[{"tenants": ["*"]}])
    digest = json.loads(Path("examples/recurring/weekday-digest.json").read_text())
    made = create(door, {**digest, "skip_during": ["nights", "year-end"]}, key)
    assert made["description_in_words"] in page
    dispatching.forget()
