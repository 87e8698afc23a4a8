"""Parameters are typed by what is declared."""

import pytest
from scripted_server import Reply
from terminal import sent

DECLARED = [
    {"name": "ip", "type": "string", "required": True},
    {"name": "hours", "type": "integer"},
    {"name": "ratio", "type": "number"},
    {"name": "urgent", "type": "boolean"},
    {"name": "hosts", "type": "array"},
    {"name": "labels", "type": "object"},
]


@pytest.fixture
def action(routes):
    """An action that can be triggered."""
    routes["GET /api/actions/act-a"] = {"data": {"id": "act-a", "name": "A", "parameters": list(DECLARED)}}
    accepted = {"execution_id": "exec-1", "status": "pending", "action_id": "act-a"}
    routes["POST /api/actions/act-a/trigger"] = Reply(202, {"data": accepted})
    return routes


def test_text_becomes_what_is_declared(tocsin, action, server, tmp_path):
    """Numbers, booleans, lists and objects are sent as such; text stays text, also where it looks like a number."""
    file = tmp_path / "body.txt"
    file.write_text("two\nlines")
    given = ["ip=203.0.113.50", "hours=3", "ratio=0.5", "urgent=yes", "hosts=a, b", 'labels={"a": 1}', "code=007"]
    words = [word for one in [*given, f"body=@{file}", "handle=@@me", "n:=7"] for word in ("-p", one)]
    assert tocsin("trigger", "act-a", *words).code == 0
    assert sent(server, "POST")[0]["parameters"] == {
        "ip": "203.0.113.50",
        "hours": 3,
        "ratio": 0.5,
        "urgent": True,
        "hosts": ["a", "b"],
        "labels": {"a": 1},
        "code": "007",
        "body": "two\nlines",
        "handle": "@me",
        "n": 7,
    }


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        ("hours=many", 6, "'many' is no integer"),
        ("urgent=perhaps", 6, "'perhaps' is no boolean"),
        ("ratio=true", 6, "'true' is no number"),
        ("labels=[1]", 6, "is no object; -p labels:=… takes JSON"),
        ("hosts:=[1", 6, "takes JSON"),
        ("nothing", 2, "is not NAME=VALUE"),
        ("body=@/nowhere/at/all", 2, "No such file"),
    ],
)
def test_what_does_not_fit_is_named(tocsin, action, server, given, code, said):
    """A value that is not of its type is refused before anything is sent."""
    done = tocsin("trigger", "act-a", "-p", given)
    assert (done.code, [one.method for one in server.requests if one.method == "POST"]) == (code, [])
    assert said in done.err
    assert len(done.err.splitlines()) == 1


def test_a_file_has_all_of_them(tocsin, action, server, tmp_path):
    """``--params`` reads YAML; ``-p`` wins over it."""
    (tmp_path / "p.yaml").write_text("ip: 198.51.100.1\nhours: 2\n")
    assert tocsin("trigger", "act-a", "--params", str(tmp_path / "p.yaml"), "-p", "hours=5").code == 0
    assert sent(server, "POST")[0]["parameters"] == {"ip": "198.51.100.1", "hours": 5}


def test_secrets_are_asked_for_without_echo(tocsin, action, server, monkeypatch):
    """A required secret is asked for on a terminal, refused elsewhere, and shown nowhere."""
    secret = {"name": "token", "type": "secret", "required": True}
    action["GET /api/actions/act-a"]["data"]["parameters"].append(secret)
    done = tocsin("trigger", "act-a", "-p", "ip=203.0.113.50")
    assert done.code == 2
    assert "token is a secret" in done.err
    monkeypatch.setattr("tocsin.cli.values.on_terminal", lambda: True)
    asked = []
    monkeypatch.setattr("click.termui.hidden_prompt_func", lambda text: asked.append(text) or "s3cr3t-canary")
    done = tocsin("trigger", "act-a", "-p", "ip=203.0.113.50")
    assert (done.code, len(asked)) == (0, 1)
    assert sent(server, "POST")[0]["parameters"]["token"] == "s3cr3t-canary"
    assert "s3cr3t-canary" not in done.out + done.err
