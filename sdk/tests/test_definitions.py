"""Definitions: given as an object, as text or as a file, and applied whether they exist or not."""

import json

import pytest
from scripted_server import Reply, problem
from tocsin.errors import ConfigurationError, Conflict

YAML = "name: First\nsteps: []\n"
MADE = Reply(201, {"data": {"id": "pb-first", "name": "First", "steps": []}})
NONE = Reply(200, {"data": [], "meta": {"next_cursor": None}})
ONE = Reply(200, {"data": [{"id": "pb-first", "name": "First"}], "meta": {"next_cursor": None}})


def sent(server):
    """What was asked: method, path without query, kind of body."""
    return [(one.method, one.path.partition("?")[0], one.headers.get("content-type")) for one in server.requests]


def test_a_playbook_is_sent_as_it_is_written(server, client, tmp_path):
    """Text and files in YAML go out unchanged, objects and files in JSON as JSON."""
    server.replies = [MADE]
    (tmp_path / "first.yaml").write_text(YAML)
    (tmp_path / "first.json").write_text('{"name": "First", "steps": []}')
    for given in (YAML, tmp_path / "first.yaml", str(tmp_path / "first.yaml")):
        assert client.playbooks.create(given).id == "pb-first"
        assert server.requests[-1].body.decode() == YAML
        assert server.requests[-1].headers["content-type"] == "application/yaml"
    for given in ({"name": "First", "steps": []}, tmp_path / "first.json"):
        client.playbooks.create(given)
        assert json.loads(server.requests[-1].body) == {"name": "First", "steps": []}
        assert server.requests[-1].headers["content-type"] == "application/json"


def test_apply_replaces_what_exists_and_creates_what_does_not(server, client):
    """With an id it is replaced, or created, and only that, where there is none; by its name it is found."""
    server.replies = [MADE]
    client.playbooks.apply({"id": "pb-first", "name": "First", "steps": []})
    assert sent(server) == [("PUT", "/api/playbooks/pb-first", "application/json")]
    server.requests.clear()
    server.replies = [problem(404, "not_found"), MADE]
    client.playbooks.apply({"id": "pb-first", "name": "First", "steps": []})
    assert [one[:2] for one in sent(server)] == [("PUT", "/api/playbooks/pb-first")] * 2
    assert [one.headers.get("if-none-match") for one in server.requests] == [None, "*"]
    server.requests.clear()
    server.replies = [ONE, MADE]
    client.playbooks.apply({"name": "First", "steps": []})
    assert [one[:2] for one in sent(server)] == [("GET", "/api/playbooks"), ("PUT", "/api/playbooks/pb-first")]


def test_apply_bears_that_somebody_is_quicker(server, client):
    """What somebody else creates meanwhile is replaced; what stays taken is said."""
    server.replies = [NONE, problem(409, "already_exists"), ONE, MADE]
    assert client.playbooks.apply({"name": "First", "steps": []}).id == "pb-first"
    server.replies = [problem(404, "not_found"), problem(412, "changed"), MADE]
    assert client.playbooks.apply({"id": "pb-first", "name": "First", "steps": []}).id == "pb-first"
    server.replies = [NONE, problem(409, "already_exists"), NONE]
    with pytest.raises(Conflict):
        client.playbooks.apply({"name": "First", "steps": []})


def test_an_action_in_yaml_takes_a_reader(server, client, monkeypatch):
    """Actions are sent as JSON: YAML is read here, and where nothing reads it the error says what to install."""
    server.replies = [Reply(201, {"data": {"id": "act-a", "name": "A"}, "warnings": [{"detail": "odd"}]})]
    yaml = pytest.importorskip("yaml")
    assert yaml
    made = client.actions.create("name: A\ntype: webhook\n")
    assert made.warnings[0].detail == "odd"
    assert json.loads(server.requests[-1].body) == {"name": "A", "type": "webhook"}
    monkeypatch.setitem(__import__("sys").modules, "yaml", None)
    with pytest.raises(ConfigurationError, match=r"tocsin\[cli\]"):
        client.actions.create("name: A\ntype: webhook\n")


def test_a_read_definition_can_be_written_again(server, client):
    """An answer is a definition, too: with its etag only the state that was read is replaced."""
    server.replies = [Reply(200, MADE.body, {"ETag": '"5"'})]
    playbook = client.playbooks.get("pb-first")
    client.playbooks.replace(playbook.id, playbook, if_match=playbook.etag)
    assert server.requests[-1].headers["if-match"] == '"5"'
    assert json.loads(server.requests[-1].body)["id"] == "pb-first"


@pytest.mark.parametrize("odd", ["", ".", "..", None, 7])
def test_an_id_that_is_none_is_named(client, odd):
    """An empty id, or none, reaches no other path by accident."""
    with pytest.raises(ValueError, match="playbook_id"):
        client.playbooks.get(odd)


def test_ids_cannot_leave_their_place(server, client):
    """What is no plain word is quoted, slashes included."""
    server.replies = [MADE]
    client.playbooks.get("a/../b?c#d")
    assert server.requests[-1].path == "/api/playbooks/a%2F..%2Fb%3Fc%23d"
