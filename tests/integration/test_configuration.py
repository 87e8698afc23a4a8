"""The configuration folder becomes generations, all or nothing; requests switch, roll back and stop."""

import json
import secrets
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from config.errors import Unavailable
from config.settings import settings
from gateway import current
from store import access, audit, redis
from store.engine import db
from store.gateway import configurations, news, providers
from tasks.generations import begin, changes, files, revisions
from tests.support.api import Door, assert_problem
from tests.support.gateway_folder import CHAINS, PROVIDERS, RULES
from tests.support.services import RedisServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("redis_of_old")

ANCIENT = {"evaluate_at": "0001-01-01T00:00:00+14:00"}
EVERYTHING = ({"tenants": ["*"]},)
RULE = """\
rules:
  - {{name: {name}, condition: {{field: action.provider, eq: mail}}, action: {{type: suppress, reason: {reason}}}}}
"""


@pytest.fixture
def redis_of_old(redis_server: RedisServer) -> None:
    """A Redis that was not emptied a moment ago: a change need not wait for processes that it may have forgotten."""
    redis.client().delete(news.APPLIED, news.NUMBER)
    redis.client().hset(news.APPLIED, news.SINCE, 0)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty configuration folder that this process uses."""
    monkeypatch.setenv("TOCSIN_CONFIG_DIR", str(tmp_path))
    settings.cache_clear()
    (tmp_path / "rules").mkdir()
    return tmp_path


@pytest.fixture
def whole(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with rules, providers and chains."""
    for name, value in {"MAIL_PASSWORD": "p4ss", "SLACK_URL": "https://hooks.slack.com/T/x", "TOKEN": "t0ken"}.items():
        monkeypatch.setenv(name, value)
    for name, text in {"providers.yaml": PROVIDERS, "chains.yaml": CHAINS, "rules/a.yaml": RULES}.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def door(database: str) -> Door:
    """The application on each kind of database; its administrator covers all tenants."""
    made = Door()
    made.admin = made.key(grants=EVERYTHING)
    return made


def write(folder: Path, name: str, reason: str = "because", file: str = "a.yaml") -> None:
    """Write a file with one rule."""
    (folder / "rules" / file).write_text(RULE.format(name=name, reason=reason))


def reload(door: Door) -> dict[str, Any]:
    """Load the folder."""
    answer = door.call("POST", "/v1/rules/reload")
    assert answer.status_code == 200, answer.text
    return answer.json


def names(door: Door, key: str = "") -> list[str]:
    """The rules that a caller sees."""
    return [rule["name"] for rule in door.call("GET", "/v1/rules", key=key).json["rules"]]


def events(subject: str) -> list[str]:
    """What the audit trail says of something."""
    with db.read() as connection:
        return [row.event for row in audit.of(connection, "default", subject)]


def test_a_reload_puts_the_folder_in_force(door: Door, whole: Path) -> None:
    """Rules, providers and chains become one generation; the answer says how many rules and which generation."""
    assert reload(door) | {"applied": ""} == {
        "loaded": 2,
        "errors": [],
        "warnings": [],
        "generation": 1,
        "applied": "",
    }
    assert names(door) == ["research", "urgent-by-slack"]
    held = current.held()
    assert held.loaded == 1
    assert set(held.revisions) == set(held.generation.providers) == {*held.revisions, "pager", "note", "drill"}
    assert set(held.generation.chains) == {"enrich-and-tell", "parallel"}
    assert set(held.breakers) == {"email", "slack"}
    assert events("configuration") == ["configuration.loaded"]


def test_a_fault_anywhere_changes_nothing(door: Door, folder: Path) -> None:
    """The answer names file, line and pointer; what was in force stays, and /health tells an administrator."""
    write(folder, "first")
    reload(door)
    write(folder, "second")
    (folder / "rules/b.yaml").write_text("rules:\n  - name: x\n    conditon: {}\n    action: {type: allow}\n")
    answer = reload(door)
    assert answer["loaded"] == answer["generation"] == 1
    assert any(error.startswith("rules/b.yaml:3 /rules/0/conditon: ") for error in answer["errors"])
    assert names(door) == ["first"]
    health = Door().call("GET", "/health", key=door.admin).json
    assert health["status"] == "degraded"
    assert health["configuration"]["generation"] == 1
    assert health["configuration"]["faults"] == answer["errors"]
    (folder / "rules/b.yaml").unlink()
    assert reload(door)["errors"] == []
    assert names(door) == ["second"]
    assert Door().call("GET", "/health", key=door.admin).json["configuration"]["faults"] == []


def test_an_unchanged_folder_makes_no_generation(door: Door, whole: Path) -> None:
    """A second load of the same files is the same generation, with the same revisions."""
    reload(door)
    before = dict(current.held().revisions)
    assert reload(door)["generation"] == 1
    (whole / "rules/a.yaml").write_text(RULES + "# a comment\n")
    assert reload(door)["generation"] == 1
    write(whole, "another", file="b.yaml")
    assert reload(door)["generation"] == 2
    assert current.held().revisions == before


def test_a_changed_provider_has_a_new_revision_and_the_others_keep_theirs(door: Door, whole: Path) -> None:
    """An execution that is pinned to the earlier revision still finds it; a changed password alone is a change."""
    reload(door)
    before = dict(current.held().revisions)
    (whole / "providers.yaml").write_text(PROVIDERS.replace("timeout_seconds: 10", "timeout_seconds: 11"))
    assert reload(door)["generation"] == 2
    after = dict(current.held().revisions)
    assert {name for name in before if before[name] != after[name]} == {"ticket"}
    key = "R0123456789012345678901234567890"
    (whole / "providers.yaml").write_text(PROVIDERS.replace(key, key[::-1]))
    reload(door)
    changed = current.held().revisions
    assert {name for name in before if before[name] != changed[name]} == {"ticket", "pager"}
    with db.read() as connection:
        kept = providers.current(connection)["pager"]
        assert key[::-1] not in json.dumps(kept.definition)
        assert revisions.opened(kept)["routing_key"] == key[::-1]
        head = providers.head(connection, "pager")
        assert head is not None
        assert (head.revision_id, head.enabled) == (changed["pager"], True)
        assert providers.head(connection, "nothing") is None
        texts = connection.execute(sa.select(configurations.configurations.c.body)).scalars().all()
        assert len(texts) == 3
        assert not [text for text in texts if key in text or key[::-1] in text]


def test_another_root_key_changes_nothing(door: Door, whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a new key comes first, the same files are no change, and credentials open."""
    reload(door)
    before = dict(current.held().revisions)
    monkeypatch.setenv("TOCSIN_SECRET_KEYS", f"{secrets.token_urlsafe(32)},{settings().secret_key}")
    settings.cache_clear()
    assert not changes.load_if_changed()
    assert changes.load(changes.Author()).generation == 1
    (whole / "providers.yaml").write_text(PROVIDERS.replace("timeout_seconds: 10", "timeout_seconds: 11"))
    assert changes.load(changes.Author()).generation == 2
    after = current.held().revisions
    assert {name for name in before if before[name] != after[name]} == {"ticket"}


def test_a_provider_that_is_gone_has_no_head(door: Door, whole: Path) -> None:
    """Its revisions stay; when it comes back its versions go on."""
    reload(door)
    (whole / "providers.yaml").write_text(PROVIDERS.replace("  note: {kind: log, level: warning}\n", ""))
    reload(door)
    with db.read() as connection:
        assert providers.head(connection, "note") is None
    (whole / "providers.yaml").write_text(PROVIDERS.replace("level: warning", "level: error"))
    reload(door)
    with db.read() as connection:
        head = providers.head(connection, "note")
        assert head is not None
        assert head.definition["version"] == "1.0.1"


def test_a_switch_outlives_every_load(door: Door, folder: Path) -> None:
    """A rule that was disabled is no candidate any more, whatever its file says later."""
    write(folder, "quiet")
    reload(door)
    key = ("dispatch", "n", "t", "mail", "x")
    assert [rule.name for rule in current.held().candidates(*key)] == ["quiet"]
    answer = door.call("PUT", "/v1/rules/quiet/enabled", json={"enabled": False})
    assert answer.status_code == 200, answer.text
    assert (answer.json["name"], answer.json["enabled"]) == ("quiet", False)
    assert current.held().candidates(*key) == ()
    write(folder, "quiet", "another reason")
    reload(door)
    current.forget()
    assert door.call("GET", "/v1/rules").json["rules"][0]["enabled"] is False
    assert current.held().candidates(*key) == ()
    door.call("PUT", "/v1/rules/quiet/enabled", json={"enabled": True})
    assert [rule.name for rule in current.held().candidates(*key)] == ["quiet"]
    assert events("quiet") == ["rule.disabled", "rule.enabled"]


def test_a_switch_needs_a_rule_and_a_truth_value(door: Door, folder: Path) -> None:
    """An unknown rule is 404; anything but a truth value, and anything next to it, is 400."""
    write(folder, "quiet")
    reload(door)
    assert_problem(door.call("PUT", "/v1/rules/loud/enabled", json={"enabled": False}), 404)
    near = assert_problem(door.call("PUT", "/v1/rules/qiuet/enabled", json={"enabled": False}), 404)
    assert near["message"] == "There is no rule 'qiuet'; did you mean 'quiet'?"
    for body in ({}, {"enabled": "false"}, {"enabled": 0}, {"enabled": None}, {"enabled": True, "x": 1}):
        assert_problem(door.call("PUT", "/v1/rules/quiet/enabled", json=body), 400)


def test_any_name_of_a_rule_can_be_switched(door: Door, folder: Path) -> None:
    """Slashes, blanks and letters of other alphabets in a name are part of it."""
    (folder / "rules/a.yaml").write_text(
        "rules: [{name: 'a/b enabled ü?', condition: {field: action.provider, eq: x}, action: {type: allow}}]"
    )
    assert reload(door)["errors"] == []
    path = "/v1/rules/a%2Fb%20enabled%20%C3%BC%3F/enabled"
    assert door.call("PUT", path, json={"enabled": False}).status_code == 200


def test_a_rollback_makes_an_earlier_generation_the_newest(door: Door, whole: Path) -> None:
    """Its rules and its providers' revisions are in force again, and stay when the web process starts again."""
    reload(door)
    first = dict(current.held().revisions)
    write(whole, "mistake", file="b.yaml")
    (whole / "providers.yaml").write_text(PROVIDERS.replace("timeout_seconds: 10", "timeout_seconds: 11"))
    reload(door)
    answer = door.call("POST", "/v1/rules/rollback", json={"generation": 1})
    assert answer.json["generation"] == 3
    assert names(door) == ["research", "urgent-by-slack"]
    assert dict(current.held().revisions) == first
    shown = door.call("GET", "/v1/rules/history").json
    assert [(one["generation"], one["in_force"], one["rules"]) for one in shown["data"]] == [
        (3, True, 2),
        (2, False, 3),
        (1, False, 2),
    ]
    assert shown["data"][0]["source"] == "generation 1"
    assert shown["meta"]["total"] == 3
    assert not changes.load_if_changed()
    assert names(door) == ["research", "urgent-by-slack"]
    assert reload(door)["generation"] == 4
    assert "mistake" in names(door)
    assert_problem(door.call("POST", "/v1/rules/rollback", json={"generation": 99}), 404)


def test_a_start_loads_only_what_has_changed(database: str, folder: Path) -> None:
    """At the start of a web process: a new folder is loaded once, a faulty one is noted, none changes nothing."""
    assert not changes.load_if_changed()
    write(folder, "one")
    assert changes.load_if_changed()
    assert not changes.load_if_changed()
    assert [rule.name for rule in current.held().ruleset.rules] == ["one"]
    (folder / "rules/a.yaml").write_text("rules: 7")
    assert not changes.load_if_changed()
    assert [rule.name for rule in current.held().ruleset.rules] == ["one"]
    with db.read() as connection:
        assert configurations.standing(connection).faults
    (folder / "rules/a.yaml").unlink()
    assert not changes.load_if_changed()
    assert [rule.name for rule in current.held().ruleset.rules] == ["one"]
    with db.read() as connection:
        assert configurations.standing(connection).faults  # a machine without files knows nothing of them


def test_a_start_with_the_files_in_force_forgets_old_faults(database: str, folder: Path) -> None:
    """A folder that was faulty and is again as it was loaded last has no faults any more."""
    write(folder, "one")
    assert changes.load_if_changed()
    sound = (folder / "rules/a.yaml").read_text()
    (folder / "rules/a.yaml").write_text("rules: 7")
    assert not changes.load_if_changed()
    (folder / "rules/a.yaml").write_text(sound)
    assert not changes.load_if_changed()
    with db.read() as connection:
        assert configurations.standing(connection).faults == []


def test_a_start_without_its_database_loads_the_folder_later(
    sqlite_database: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The web process starts, decides nothing meanwhile, and loads the folder when the database is back."""
    write(folder, "one")
    away, real = [True], changes.load_if_changed

    def load_if_changed() -> bool:
        if away[0]:
            raise Unavailable
        return real()

    monkeypatch.setattr(changes, "load_if_changed", load_if_changed)
    monkeypatch.setattr(begin, "AGAIN", 0.01)
    monkeypatch.setattr(begin.follow, "begin", lambda _role: None)
    begin.in_web()
    assert current.held().loaded == 0
    away[0] = False
    eventually(lambda: current.held().loaded == 1, 20, "the folder is loaded")


def test_a_stop_holds_a_tenant_and_its_parts(door: Door, database: str) -> None:
    """A stop of one tenant leaves the others alone, a stop of all holds all; lifting one that is none is 404."""
    body = {"tenant": "acme", "reason": "wrong hosts"}
    answer = door.call("POST", "/admin/stop", json=body)
    note = "no tenant 'acme' is known: this stops nothing now"
    assert answer.json | {"applied": ""} == {**body, "stopped": True, "applied": "", "note": note}
    found = current.held().stopped("acme.eu")
    assert found is not None
    assert found.reason == "wrong hosts"
    assert current.held().stopped("acme-corp") is None
    missing = assert_problem(door.call("DELETE", "/admin/stop"), 404)
    assert missing["message"] == "There is no stop of all tenants. Stopped now: acme."
    assert door.call("DELETE", "/admin/stop?tenant=acme").status_code == 200
    assert current.held().stopped("acme") is None
    assert door.call("POST", "/admin/stop", json={"reason": "all"}).status_code == 200
    assert current.held().stopped("any") is not None
    assert door.call("DELETE", "/admin/stop").status_code == 200
    assert current.held().stopped("any") is None
    assert events("acme") == ["stop.set", "stop.lifted"]
    for wrong in ({}, {"reason": ""}, {"reason": "x", "tenant": ""}, {"reason": "x", "scope": "acme"}):
        assert_problem(door.call("POST", "/admin/stop", json=wrong), 400)
    for none in ("../etc", "a*", "acme.", "a b"):  # what no tenant can be called would hold nothing
        problem = assert_problem(door.call("POST", "/admin/stop", json={"reason": "x", "tenant": none}), 400)
        assert [one["pointer"] for one in problem["errors"]] == ["/tenant"]
    with db.write() as connection:
        access.ensure_workspace(connection, "odd name", "odd name")
    assert door.call("POST", "/admin/stop", json={"reason": "x", "tenant": "odd name"}).status_code == 200


def test_a_stop_of_an_unknown_tenant_says_so(door: Door, database: str) -> None:
    """The nearest tenant that the caller covers is suggested; one that is known, by a part too, needs no note."""
    with db.write() as connection:
        for tenant in ("demo", "acme.eu"):
            access.ensure_workspace(connection, tenant, tenant)
    stopped = {
        tenant: door.call("POST", "/admin/stop", json={"tenant": tenant, "reason": "x"}).json
        for tenant in ("dmeo", "demo", "acme", "*")
    }
    told = {tenant: answer.get("note") for tenant, answer in stopped.items()}
    assert told.pop("dmeo") == "no tenant 'dmeo' is known: this stops nothing now; did you mean 'demo'?"
    assert told == {"demo": None, "acme": None, "*": None}
    own = door.key(scopes=["manage:breakers"], grants=({"tenants": ["dem"]},))
    answer = door.call("POST", "/admin/stop", key=own, json={"tenant": "dem", "reason": "x"}).json
    assert answer["note"] == "no tenant 'dem' is known: this stops nothing now"
    missing = assert_problem(door.call("DELETE", "/admin/stop?tenant=dem.x", key=own), 404)
    assert missing["message"] == "There is no stop of the tenant 'dem.x'. Stopped now: dem."


def test_who_may_change_what(door: Door, folder: Path) -> None:
    """What concerns all tenants needs a grant over all; a switch one over the tenants that its rule names."""
    (folder / "rules/a.yaml").write_text(
        "rules:\n"
        "  - {name: mine, tenants: [acme], condition: {field: action.provider, eq: x}, action: {type: allow}}\n"
        "  - {name: theirs, tenants: [other], condition: {field: action.provider, eq: x}, action: {type: allow}}\n"
        "  - {name: of-all, condition: {field: action.provider, eq: x}, action: {type: allow}}\n"
    )
    reload(door)
    own = door.key("operator", "acme", grants=({"tenants": ["acme"]},))
    for method, path, body in (
        ("POST", "/v1/rules/reload", None),
        ("POST", "/v1/rules/rollback", {"generation": 1}),
        ("POST", "/admin/stop", {"reason": "x"}),
        ("DELETE", "/admin/stop", None),
        ("PUT", "/v1/rules/of-all/enabled", {"enabled": False}),
        ("PUT", "/v1/rules/theirs/enabled", {"enabled": False}),
    ):
        assert assert_problem(door.call(method, path, key=own, json=body), 403)["code"] == "not_granted"
    assert door.call("PUT", "/v1/rules/mine/enabled", key=own, json={"enabled": False}).status_code == 200
    assert door.call("POST", "/admin/stop", key=own, json={"tenant": "acme", "reason": "x"}).status_code == 200
    assert names(door, own) == ["mine", "of-all"]
    asked = {"namespace": "n", "tenant": "acme", "provider": "x", "action_type": "t"}
    shown = door.call("POST", "/v1/rules/evaluate", key=own, json=asked).json
    assert [entry["rule_name"] for entry in shown["trace"]] == ["mine", "of-all"]
    assert_problem(door.call("POST", "/v1/rules/evaluate", key=own, json={**asked, "tenant": "other"}), 403)


def test_an_evaluation_explains_and_touches_nothing(door: Door, folder: Path) -> None:
    """Every rule's result and why, with another time, given state, disabled rules, and credentials masked."""
    (folder / "rules/a.yaml").write_text(
        "rules:\n"
        "  - {name: nights, condition: {field: time.hour, lt: 6}, action: {type: suppress, reason: night}}\n"
        "  - {name: seen, condition: {state_seen: down, within_seconds: 60}, action: {type: suppress}}\n"
        "  - {name: off, enabled: false, condition: {field: action.provider, eq: mail}, action: {type: deny}}\n"
        "  - name: footer\n"
        "    continue: true\n"
        "    condition: {field: action.provider, eq: mail}\n"
        "    action: {type: modify, changes: {footer: x, password: hunter2}}\n"
    )
    assert reload(door)["errors"] == []
    asked = {"namespace": "n", "tenant": "default", "provider": "mail", "action_type": "t", "payload": {"token": "s3"}}

    def evaluate(**more: Any) -> dict[str, Any]:
        answer = door.call("POST", "/v1/rules/evaluate", json={**asked, **more})
        assert answer.status_code == 200, answer.text
        assert "hunter2" not in answer.text
        assert "s3" not in answer.text
        return answer.json

    noon, night = {"evaluate_at": "2026-11-29T12:00:00Z"}, {"evaluate_at": "2026-11-29T03:00:00Z"}
    assert (evaluate(**noon)["verdict"], evaluate(**noon)["modified_payload"]["footer"]) == ("modify", "x")
    assert evaluate(**night)["matched_rule"] == "nights"
    assert evaluate(**noon, mock_state={"down": 1})["matched_rule"] == "seen"
    results = {entry["rule_name"]: entry["result"] for entry in evaluate(**noon, include_disabled=True)["trace"]}
    assert results == {"nights": "not_matched", "seen": "not_matched", "off": "matched", "footer": "matched"}
    everything = evaluate(**night, evaluate_all=True)["trace"]
    assert [entry["result"] for entry in everything] == ["matched", "not_matched", "skipped", "matched"]
    with db.read() as connection:
        standing = configurations.standing(connection)
    assert (standing.edition, standing.generation) == (1, 1)
    for wrong in ({"origin": "nowhere"}, {"payload": []}, {"mock_state": {"x": -1}}, {"evaluate_at": "now"}, ANCIENT):
        assert_problem(door.call("POST", "/v1/rules/evaluate", json={**asked, **wrong}), 400)


def test_a_reload_takes_no_directory(door: Door, folder: Path) -> None:
    """The folder is the operator's; a body or a query that names another is refused, an empty object is none."""
    for body in ({"directory": "/etc"}, {"path": "/tmp"}, ["/etc"]):
        assert_problem(door.call("POST", "/v1/rules/reload", json=body), 400)
    assert_problem(door.call("POST", "/v1/rules/reload?directory=/etc"), 400)
    assert door.call("POST", "/v1/rules/reload", json={}).status_code == 200


@pytest.mark.parametrize(
    ("path", "content", "said"),
    [
        ("rules/a.yaml", b"\xff\xfe", "rules/a.yaml:1 /: is not text in UTF-8"),
        ("rules/a.yaml", b"# " + b"x" * 10_000_000, "characters"),
        ("rules/a.yaml", b"rules: &a [*a]", "rules/a.yaml:1"),
        ("rules/deep/a.yaml", b"rules: []", "rules/deep/a.yaml:1 /: is no file of a configuration"),
        ("rulez.yaml", b"rules: []", "rulez.yaml:1 /: is no file of a configuration"),
        ("time_intervals.yaml", b"time_intervals: {}", "must be a list of at most"),
    ],
)
def test_an_unsound_file_is_a_fault(sqlite_database: str, folder: Path, path: str, content: bytes, said: str) -> None:
    """It is named, and nothing is loaded."""
    write(folder, "sound", file="z.yaml")
    (folder / path).parent.mkdir(exist_ok=True)
    (folder / path).write_bytes(content)
    loading = changes.load(changes.Author())
    assert any(said in error for error in loading.errors), loading.errors
    assert loading.generation == 0


def test_what_is_no_configuration_is_left_alone(sqlite_database: str, folder: Path) -> None:
    """Python functions, notes and hidden files lie in the same folder."""
    write(folder, "one")
    for name in ("actions/block.py", "README.md", ".hidden.yaml", "rules/.a.yaml.swp", "rules/notes.txt"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("nothing: [")
    assert set(files.read(folder).texts) == {"rules/a.yaml"}
    assert changes.load(changes.Author()).errors == []


def test_a_folder_that_is_missing_is_a_fault_of_a_reload(
    sqlite_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a start it is none: not every machine has the folder."""
    monkeypatch.setenv("TOCSIN_CONFIG_DIR", str(tmp_path / "missing"))
    settings.cache_clear()
    assert "cannot be read" in changes.load(changes.Author()).errors[0]
    assert not changes.load_if_changed()


@pytest.mark.gate
def test_the_most_rules_are_loaded_and_one_more_is_refused(sqlite_database: str, folder: Path) -> None:
    """The limit holds over all files together."""

    def rules(first: int, number: int) -> str:
        lines = (
            f"  - {{name: r{each}, condition: {{field: action.provider, eq: p}}, action: {{type: allow}}}}\n"
            for each in range(first, first + number)
        )
        return "rules:\n" + "".join(lines)

    (folder / "rules/a.yaml").write_text(rules(0, 5_000))
    (folder / "rules/b.yaml").write_text(rules(5_000, 5_000))
    loading = changes.load(changes.Author())
    assert (loading.errors, loading.loaded, len(current.held().ruleset.rules)) == ([], 10_000, 10_000)
    write(folder, "one-more", file="c.yaml")
    loading = changes.load(changes.Author())
    assert any("more than 10000 rules" in error for error in loading.errors)
    assert (loading.loaded, loading.generation) == (10_000, 1)


def test_old_generations_go(sqlite_database: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bounded number is kept, the newest ones."""
    monkeypatch.setattr(configurations, "KEPT", 3)
    for number in range(5):
        write(folder, f"r{number}")
        changes.load(changes.Author())
    with db.read() as connection:
        kept = connection.execute(sa.select(configurations.configurations.c.generation)).scalars().all()
    assert sorted(kept) == [3, 4, 5]


def test_a_rule_may_wait_for_its_provider_and_is_warned_of(door: Door, whole: Path) -> None:
    """Providers, executors and channels are known; another name is a warning of the load and of an evaluation."""
    write(whole, "early", file="b.yaml")
    rule = "  - {name: fine, action: {type: deny}, condition: {field: action.provider, in_list: [local, slack]}}\n"
    asking = "  - {name: asks, action: {type: deny}, condition: {expression: \"action.provider == 'emial'\"}}\n"
    (whole / "rules/c.yaml").write_text("rules:\n" + rule + asking)
    loading = reload(door)
    (early, asks) = [
        "rule 'early': no provider 'mail' is configured; did you mean 'email'?",
        "rule 'asks': no provider 'emial' is configured; did you mean 'email'?",
    ]
    assert (loading["errors"], loading["warnings"]) == ([], [early, asks])
    asked = {"namespace": "n", "tenant": "t", "provider": "pagr", "action_type": "a"}
    answer = door.call("POST", "/v1/rules/evaluate", json=asked).json
    assert answer["warnings"] == ["no provider 'pagr' is configured; did you mean 'pager'?", early, asks]


def test_only_a_process_that_lacks_a_change_is_warned_of(
    door: Door, whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A first start, at which Redis knows of no process yet, is healthy."""
    warning = "change not applied by every process"
    redis.client().delete(news.APPLIED)
    reload(door)
    assert warning not in capsys.readouterr().out
    redis.client().hset(news.APPLIED, "another", f"0 {db.now_ms()}")
    write(whole, "later", file="b.yaml")
    reload(door)
    assert warning in capsys.readouterr().out
