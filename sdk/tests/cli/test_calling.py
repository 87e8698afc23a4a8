"""Verbs call the operation that they are declared for, with what the command line says."""

import json
from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qs, urlsplit

import pytest
from scripted_server import Reply, problem
from terminal import run_of, sent


def query(request):
    return {name: value[0] for name, value in parse_qs(urlsplit(request.path).query).items()}


def item(number):
    return {"execution_id": f"pexec-{number}", "status": "completed", "playbook_id": "pb-a", "created_at": None}


def test_filters_are_sent_as_the_server_names_them(tocsin, server):
    """Options are query parameters, several values are one list, a span is a moment so long ago."""
    server.replies = [Reply(200, {"data": [], "meta": {}})]
    words = ["--status", "failed", "--status", "running", "--since", "24h", "--target", "web-01", "--no-dry-run"]
    assert tocsin("runs", "list", *words).code == 0
    known = query(server.requests[0])
    assert known["status"] == "failed,running"
    assert known["target_asset_id"] == "web-01"
    assert known["dry_run"] == "false"
    ago = datetime.now(timezone.utc) - datetime.fromisoformat(known["from"].replace("Z", "+00:00"))
    assert timedelta(hours=23) < ago < timedelta(hours=25)


def test_a_list_reads_on_and_says_that_there_is_more(tocsin, server):
    """A table ends after 50 items and says so; ``--all`` and ``--limit`` read over all parts."""
    first = {"data": [item(n) for n in range(51)], "meta": {"next_cursor": "c"}}
    server.replies = [Reply(200, first), Reply(200, {"data": [item(n) for n in range(51, 60)], "meta": {}})]
    done = tocsin("runs", "list")
    assert len(done.out.splitlines()) == 51
    assert "the first 50" in done.err
    server.replies = [Reply(200, first), Reply(200, {"data": [item(n) for n in range(51, 60)], "meta": {}})]
    done = tocsin("runs", "list", "--all", "-o", "id")
    assert done.out.split() == [f"pexec-{n}" for n in range(60)]
    server.replies = [Reply(200, first)]
    assert len(tocsin("runs", "list", "--limit", "3", "-o", "json").json) == 3


def test_the_shared_options_stand_before_or_behind_the_verb(tocsin, server):
    """``-o json`` means the same in both places."""
    server.replies = [Reply(200, {"data": [item(1)], "meta": {}})]
    assert tocsin("-o", "id", "runs", "list").out == tocsin("runs", "list", "-o", "id").out == "pexec-1\n"


def test_members_of_a_body_come_from_options_and_a_file(tocsin, server, tmp_path):
    """An option wins over the member of the file; JSON and ``@FILE`` are read."""
    server.replies = [Reply(201, {"id": "sil-1", "status": "active"})]
    (tmp_path / "s.yaml").write_text("comment: from the file\nmatchers:\n  - {name: host, value: web-01}\n")
    words = ["-f", str(tmp_path / "s.yaml"), "--comment", "maintenance", "--duration-minutes", "30"]
    assert tocsin("silences", "create", *words, "--idempotency-key", "k-1").code == 0
    assert sent(server, "POST") == [
        {"comment": "maintenance", "matchers": [{"name": "host", "value": "web-01"}], "duration_minutes": 30}
    ]
    assert server.requests[0].headers["idempotency-key"] == "k-1"


def test_one_operation_serves_two_verbs(tocsin, server):
    """Rules are switched on and off by the same operation."""
    server.replies = [Reply(200, {"name": "quiet", "enabled": False})]
    assert tocsin("rules", "enable", "quiet").code == 0
    assert tocsin("rules", "disable", "quiet", "--yes").code == 0
    assert sent(server, "PUT") == [{"enabled": True}, {"enabled": False}]


def test_what_destroys_asks(tocsin, server, monkeypatch):
    """Outside a terminal it takes ``--yes``; on one the answer counts."""
    server.replies = [Reply(204)]
    done = tocsin("actions", "delete", "act-a")
    assert (done.code, server.requests) == (2, [])
    assert "--yes" in done.err
    assert tocsin("actions", "delete", "act-a", "--yes").code == 0
    assert len(server.requests) == 1
    monkeypatch.setattr("tocsin.cli.verb.on_terminal", lambda: True)
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _: "n")
    assert tocsin("actions", "delete", "act-a").code == 130
    assert len(server.requests) == 1
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _: "y")
    assert tocsin("actions", "delete", "act-a").code == 0
    assert len(server.requests) == 2


def test_definitions_are_applied(tocsin, routes, server, tmp_path):
    """``apply`` replaces what is there, and creates what is not."""
    (tmp_path / "a.yaml").write_text("id: act-a\nname: A\n")
    made = Reply(201, {"data": {"id": "act-a", "name": "A", "version": "1.0.0"}})
    routes["PUT /api/actions/act-a"] = [problem(404, "not_found"), made]
    done = tocsin("actions", "apply", str(tmp_path / "a.yaml"))
    assert (done.code, done.out) == (0, "act-a  1.0.0  A\n")
    assert [one.headers.get("if-none-match") for one in server.requests] == [None, "*"]


def test_faults_of_a_definition_are_shown_where_they_are(tocsin, routes, tmp_path):
    """A JSON pointer becomes file, line and column; the exit code says that it is invalid."""
    file = tmp_path / "p.yaml"
    file.write_text("name: P\nsteps:\n  - id: a\n    type: acton\n")
    fault = {"pointer": "/steps/0/type", "detail": "there is no such type"}
    routes["GET /api/playbooks"] = {"data": [], "meta": {}}
    routes["POST /api/playbooks"] = problem(422, "invalid_playbook", errors=[fault])
    done = tocsin("playbooks", "apply", str(file))
    assert done.code == 6
    assert f"{file}:4:11 /steps/0/type: there is no such type" in done.err
    finding = {"pointer": "/steps/0/type", "message": "there is no such type"}
    routes["POST /api/playbooks/validate"] = {"valid": False, "errors": [finding], "warnings": []}
    done = tocsin("playbooks", "validate", str(file))
    assert done.code == 6
    assert f"{file}:4:11 /steps/0/type: there is no such type" in done.out


@pytest.mark.parametrize(
    ("words", "method", "path"),
    [
        (["approve", "pexec-1"], "POST", "/api/playbooks/executions/pexec-1/steps/ask/approve"),
        (["reject", "pexec-1", "ask", "--note", "no"], "POST", "/api/playbooks/executions/pexec-1/steps/ask/reject"),
        (["approve", "exec-1"], "POST", "/api/actions/executions/exec-1/approve"),
        (["approve", "pexec-1.ask"], "POST", "/api/actions/executions/pexec-1.ask/approve"),
        (["reject", "apr-1"], "POST", "/api/approvals/apr-1/reject"),
    ],
)
def test_one_short_form_decides_all(tocsin, routes, server, words, method, path):
    """The id says what is decided; of a run the step that waits is found."""
    routes["GET /api/playbooks/executions/pexec-1"] = {"data": run_of("paused")}
    routes[f"{method} {path}"] = {"data": {"status": "approved"}}
    assert tocsin(*words).code == 0
    assert (server.requests[-1].method, server.requests[-1].path) == (method, path)


def test_records_are_exported_line_by_line(tocsin, server):
    """The export reads on by itself, and ``--limit`` ends it."""
    kind = {"Content-Type": "application/x-ndjson"}
    parts = [Reply(200, '{"id": "2"}\n{"id": "1"}\n', {**kind, "Next-Cursor": "c"}), Reply(200, '{"id": "0"}\n', kind)]
    server.replies = list(parts)
    assert [json.loads(line)["id"] for line in tocsin("audit", "export").out.splitlines()] == ["2", "1", "0"]
    server.replies = list(parts)
    assert tocsin("audit", "export", "--limit", "1").out == '{"id": "2"}\n'


def test_any_path_can_be_called(tocsin, routes, server):
    """``api`` sends method, query, headers and body as they are, and shows the answer."""
    routes["POST /api/new"] = {"it": "works"}
    done = tocsin("api", "post", "/api/new", "-F", "a=b", "-d", '{"x": 1}', "-H", "X-Test: yes")
    assert done.json == {"it": "works"}
    assert (query(server.requests[0]), sent(server, "POST")) == ({"a": "b"}, [{"x": 1}])
    assert server.requests[0].headers["x-test"] == "yes"


def test_webhooks_are_verified(tocsin, tmp_path, monkeypatch):
    """The check that fails is named; a good one shows the event."""
    import base64
    import hashlib
    import hmac
    import time

    key, stamp, body = b"0123456789abcdef01234567", str(int(time.time())), b'{"type": "run.completed"}'
    signed = base64.b64encode(hmac.new(key, f"m-1.{stamp}.".encode() + body, hashlib.sha256).digest()).decode()
    file = tmp_path / "body.json"
    file.write_bytes(body)
    headers = ["-H", "Webhook-Id: m-1", "-H", f"Webhook-Timestamp: {stamp}", "-H", f"Webhook-Signature: v1,{signed}"]
    secret = ["--secret", "whsec_" + base64.b64encode(key).decode()]
    assert tocsin("webhooks", "verify", str(file), *headers, *secret, "-o", "json").json == json.loads(body)
    file.write_bytes(body + b" ")
    done = tocsin("webhooks", "verify", str(file), *headers, *secret)
    assert done.code == 6
    assert "no_match" in done.err


def test_the_trail_is_verified_to_its_end(tocsin, server):
    """Parts are asked for until the check is complete; a fault found in the last one counts, and ends with 6."""
    part = {
        "valid": True,
        "complete": False,
        "next_cursor": "c",
        "records_checked": 5,
        "seals_checked": 1,
        "faults": [],
    }
    whole = {**part, "valid": False, "complete": True, "next_cursor": None, "records_checked": 9}
    server.replies = [Reply(200, part), Reply(200, whole)]
    done = tocsin("audit", "verify", "-o", "json")
    assert (done.code, done.json["records_checked"]) == (6, 9)
    assert query(server.requests[-1])["cursor"] == "c"
    server.replies = [Reply(200, {**whole, "valid": True})]
    assert tocsin("audit", "verify").code == 0
