"""What looks like a credential is sealed and masked by its name or its address, wherever an action can be seen."""

import secrets
import time
from typing import Any

import pytest

from playbooks import credentials
from store.definitions import actions
from store.engine import db
from tasks.attempts import action
from tasks.entrypoints import runs
from tasks.secrets import sealing as config_secrets
from tests.support.api import Door
from tests.support.credentials import ADDRESSES, HEADERS, PLAIN_HEADERS, read_everywhere, stored

URL = "https://api.example.com/v1/report"


@pytest.fixture
def everywhere(database: str) -> Door:
    """The application on each kind of database."""
    return Door()


def canary() -> str:
    """A value that looks like a key and stands nowhere else."""
    return f"k{secrets.token_hex(16)}Z"


def config_of(action_id: str) -> dict[str, Any]:
    """An action's config as its executor reads it."""
    with db.read() as connection:
        revision = actions.get(connection, "default", action_id).revision
    opened = config_secrets.opened_config("default", revision)
    return config_secrets.restore_secrets(dict(revision.definition["config"]), opened)


def performed(door: Door, action_id: str) -> list[str]:
    """The paths of a dry run and of a sandboxed execution of an action, and of a dry run of a playbook with it."""
    paths = []
    for mode in ("dry_run", "sandbox"):
        execution_id = door.trigger(action_id, **{mode: True})
        assert action.attempt(execution_id).status == "completed"
        paths.append(f"/api/actions/executions/{execution_id}")
    step = {"id": "one", "type": "action", "action_ref": action_id}
    playbook = door.create_playbook(name=f"With {action_id}", steps=[step])["id"]
    run_id = door.call("POST", f"/api/playbooks/{playbook}/run", json={"dry_run": True}).json["execution_id"]
    runs.begin.apply(args=[run_id])
    shown = door.call("GET", f"/api/playbooks/executions/{run_id}").json
    assert shown["status"] == "completed", shown
    paths += [f"/api/playbooks/executions/{run_id}", f"/api/playbooks/executions/{run_id}/logs"]
    paths += [f"/api/playbooks/{playbook}/export?format={form}" for form in ("native", "cacao_v2", "yaml")]
    return [*paths, "/api/actions/executions", f"/api/playbooks/{playbook}/versions"]


def test_the_credentials_of_products_are_masked_everywhere(everywhere: Door) -> None:
    """Headers and addresses of real products: for all roles, in versions, plans, reports, exports and the database."""
    door, values = everywhere, []
    paths = ["/api/actions"]
    headers = {}
    for name in HEADERS.values():
        if name.lower() not in map(str.lower, headers):
            headers[name] = canary()
            values.append(headers[name])
    configs = [{"url": URL, "headers": headers, "body": {"a": 1}}]
    for address in ADDRESSES.values():
        values.append(canary())
        configs.append({"url": address.format(values[-1]), "body": {"a": 1}})
    shown = {}
    for number, config in enumerate(configs):
        answer = door.call(
            "POST",
            "/api/actions",
            json={"name": f"A {number}", "type": "webhook", "executor": "webhook", "config": config},
        )
        assert answer.status_code == 201, answer.text
        action_id = answer.json["data"]["id"]
        shown[f"created {number}"] = answer.text
        changed = door.call("PATCH", f"/api/actions/{action_id}", json={"description": "changed"})
        shown[f"changed {number}"] = changed.text
        assert config_of(action_id) == config
        paths += [f"/api/actions/{action_id}", f"/api/actions/{action_id}/versions"]
        if number in (0, 1, 11):
            paths += performed(door, action_id)
    shown |= read_everywhere(door, paths) | stored()
    assert {place: value for place, text in shown.items() for value in values if value in text} == {}


@pytest.mark.parametrize("name", PLAIN_HEADERS)
def test_plain_headers_stay_readable(name: str) -> None:
    """What only sounds like a credential is shown."""
    assert not credentials.is_secret_header(name)


def test_what_the_author_calls_secret_is_sealed(door: Door) -> None:
    """``config.secret_headers``, ``{"secret": value}`` in headers, bodies and lists, members of a body by name."""
    one, two, three, four = (canary() for _ in range(4))
    body = {"deep": [{"secret": two}, {"password": three, "note": "n"}], "wire": {"secret": {"secret": four}}}
    config = {
        "url": URL,
        "headers": {"X-Tenant": one, "X-Other": {"secret": one + "x"}},
        "secret_headers": ["x-tenant"],
        "body": body,
    }
    action_id = door.create(config=config)["id"]
    sent = {"deep": [two, {"password": three, "note": "n"}], "wire": {"secret": four}}
    assert config_of(action_id) == {**config, "headers": {"X-Tenant": one, "X-Other": one + "x"}, "body": sent}
    shown = read_everywhere(door, [f"/api/actions/{action_id}", *performed(door, action_id)]) | stored()
    assert [place for place, text in shown.items() for value in (one, two, three, four) if value in text] == []
    read = door.call("GET", f"/api/actions/{action_id}").json["data"]["config"]
    assert read["body"]["deep"] == [{"secret": "********"}, {"password": "********", "note": "n"}]
    again = door.call("PATCH", f"/api/actions/{action_id}", json={"config": {**read, "method": "PUT"}})
    assert again.status_code == 200, again.text
    assert config_of(action_id) == {
        **config,
        "method": "PUT",
        "headers": {"X-Tenant": one, "X-Other": one + "x"},
        "body": sent,
    }


def test_an_object_that_hands_a_parameter_on_stays_an_object(door: Door) -> None:
    """``{"secret": "{{ token }}"}`` in a body is what the receiver gets; there is nothing to seal."""
    declared = [{"name": "token", "type": "secret"}]
    action_id = door.create(config={"url": URL, "body": {"secret": "{{ token }}"}}, parameters=declared)["id"]
    assert config_of(action_id)["body"] == {"secret": "{{ token }}"}


def test_a_mask_inside_a_url_keeps_the_secret(door: Door) -> None:
    """What was read may be sent back; with another receiver, another member or nothing kept it is refused."""
    value = canary()
    action_id = door.create(config={"url": f"{URL}?api_key={value}&limit=10"})["id"]
    path, read = f"/api/actions/{action_id}", f"{URL}?api_key=********&limit=10"
    assert door.call("GET", path).json["data"]["config"]["url"] == read
    changed = door.call("PATCH", path, json={"config": {"url": read, "body": {"a": 2}}})
    assert changed.json["data"]["config"]["url"] == read
    assert config_of(action_id)["url"] == f"{URL}?api_key={value}&limit=10"
    for url in (read.replace("example.com", "evil.example"), read.replace("api_key", "token"), f"{read}&b=1"):
        refused = door.call("PATCH", path, json={"config": {"url": url}})
        assert (refused.status_code, refused.json["code"]) == (400, "secret_needed"), url
        assert refused.json["errors"][0]["pointer"] == "/config/url"
    fresh = {"name": "B", "type": "webhook", "executor": "webhook", "config": {"url": read}}
    assert door.call("POST", "/api/actions", json=fresh).json["code"] == "secret_needed"


@pytest.mark.parametrize(
    ("config", "changes"),
    [
        ({"headers": {"X-T": "V"}, "secret_headers": ["X-T"]}, {"secret_headers": []}),
        ({"headers": {"X-T": {"secret": "V"}}}, {"headers": {"X-T": "********"}}),
        ({"body": {"t": {"secret": "V"}}}, {"body": {"t": "********"}}),
        (
            {"body_template": '{"routing_key": "V", "a": "b"}'},
            {"body_template": '{"note": "\\"routing_key\\": \\"********", "a": "b"}'},
        ),
    ],
    ids=["no longer named", "header unwrapped", "body unwrapped", "text around it changed"],
)
def test_what_was_sealed_is_not_shown_by_a_change_around_it(
    door: Door, config: dict[str, Any], changes: dict[str, Any]
) -> None:
    """A mask that is sent back where the value would not be taken for a secret stays masked, or is refused."""
    value = canary()
    given = {"url": URL, **{name: _with(one, value) for name, one in config.items()}}
    action_id = door.create(config=given)["id"]
    read = door.call("GET", f"/api/actions/{action_id}").json["data"]["config"]
    assert value not in str(read)
    answer = door.call("PATCH", f"/api/actions/{action_id}", json={"config": {**read, **changes}})
    assert answer.status_code == 200 or answer.json["code"] in ("secret_needed", "invalid_action"), answer.text
    shown = read_everywhere(door, [f"/api/actions/{action_id}", f"/api/actions/{action_id}/versions"]) | stored()
    assert [place for place, text in shown.items() if value in text] == []


def _with(item: Any, value: str) -> Any:
    if isinstance(item, dict):
        return {name: _with(one, value) for name, one in item.items()}
    if isinstance(item, list):
        return item
    return item.replace("V", value)


def test_what_looks_random_and_is_shown_draws_a_warning(door: Door) -> None:
    """A literal that may be a key is named when the action is written and when it is checked; what is sealed is not."""
    config = {
        "url": f"{URL}/{canary()}",
        "headers": {"X-Tenant": canary(), "X-Api-Key": canary(), "X-Id": "550e8400-e29b-41d4-a716-446655440000"},
        "body": {"ref": canary(), "text": "A sentence that is long and harmless", "t": "{{ execution.id }}"},
    }
    wanted = {"name": "Doubtful", "type": "webhook", "executor": "webhook", "config": config}
    expected = {"/config/url", "/config/headers/X-Tenant", "/config/body/ref"}
    checked = door.call("POST", "/api/actions/validate", json=wanted).json
    assert (checked["valid"], {one["pointer"] for one in checked["warnings"]}) == (True, expected)
    made = door.call("POST", "/api/actions", json=wanted)
    assert {one["pointer"] for one in made.json["warnings"]} == expected
    path = f"/api/actions/{made.json['data']['id']}"
    better = {**config, "url": URL, "secret_headers": ["X-Tenant"], "body": {"ref": {"secret": canary()}}}
    for method, body in (("PATCH", {"config": better}), ("PUT", {**wanted, "config": better})):
        assert door.call(method, path, json=body).json["warnings"] == []


def test_masking_takes_time_in_proportion_to_the_text() -> None:
    """Text that almost holds credentials everywhere is looked through in one go: four times as much, about as long."""
    assert _taken(1_000_000) < 9 * _taken(250_000)  # were it looked through again and again: sixteen times


def test_a_text_with_very_many_credentials_is_masked_as_a_whole(door: Door) -> None:
    """So is every text after five hundred places; what is sent stays the same."""
    value = canary()
    body = {"many": f"https://a.example/?key={value}" + f"&key={value}" * 200, "list": [f"?key={value}"] * 1000}
    action_id = door.create(config={"url": URL, "body": body})["id"]
    assert config_of(action_id)["body"] == body
    assert value not in door.call("GET", f"/api/actions/{action_id}").text


def _taken(characters: int) -> float:
    """Processor time for ``characters`` of each kind, seconds."""
    texts = ["?key={{", "://", "?a=://@", '"password":"', "https://a/hooks/", "&token=", '"a"  :']
    began = time.process_time()
    for text in texts:
        credentials.spans(text * (characters // len(text)), body=True)
    return time.process_time() - began
