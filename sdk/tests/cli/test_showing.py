"""Answers are shown as tables for people, and as they are for programs."""

import json

import pytest
from scripted_server import Reply
from terminal import run_of

ITEMS = [
    {"execution_id": "pexec-" + "1" * 20, "status": "completed", "playbook_id": "pb-a", "duration_seconds": 75.2},
    {"execution_id": "pexec-2", "status": "failed", "playbook_id": "pb-b", "target_asset_id": "web-01"},
]


@pytest.fixture
def listed(server):
    """A list of two runs."""
    server.replies = [Reply(200, {"data": ITEMS, "meta": {}})]


def test_a_table_has_a_line_for_each(tocsin, listed):
    """A head, then the items; without a terminal nothing is cut, and there are no colours."""
    head, first, second = tocsin("runs", "list").out.splitlines()
    assert head.split() == ["ID", "STATUS", "PLAYBOOK", "TARGET", "CREATED", "TOOK"]
    assert first.split()[0] == "pexec-" + "1" * 20
    assert first.endswith("1:15")
    assert second.split() == ["pexec-2", "✗", "failed", "pb-b", "web-01"]


@pytest.mark.parametrize("columns", ["20", "40", "60"])
def test_a_narrow_terminal_cuts_no_id(tocsin, listed, monkeypatch, columns):
    """What does not fit is cut or left out, from the right."""
    monkeypatch.setenv("COLUMNS", columns)
    lines = tocsin("runs", "list").out.splitlines()
    assert lines[1].startswith("pexec-" + "1" * 20)
    assert all(len(line) <= max(int(columns), 26) for line in lines)


def test_formats_for_programs_have_all_of_it(tocsin, listed):
    """JSON is the list, JSON lines an item each, YAML the same, ``id`` the ids."""
    import yaml

    assert tocsin("runs", "list", "-o", "json").json == ITEMS
    assert [json.loads(line) for line in tocsin("runs", "list", "-o", "jsonl").out.splitlines()] == ITEMS
    assert yaml.safe_load(tocsin("runs", "list", "-o", "yaml").out) == ITEMS
    assert tocsin("runs", "list", "-o", "id").out.split() == [one["execution_id"] for one in ITEMS]


def test_one_object_is_shown_member_by_member(tocsin, server):
    """Members without a value are left out, what is within is indented."""
    server.replies = [
        Reply(200, {"data": run_of("completed", parameters={"hash": "ab", "hosts": ["a", "b"]}, error=None)})
    ]
    lines = tocsin("runs", "get", "pexec-1").out.splitlines()
    assert "status:           completed" in lines
    assert "  hosts: a, b" in lines
    assert "  - step_id: enrich" in lines
    assert not [line for line in lines if line.startswith("error")]
    assert tocsin("runs", "get", "pexec-1", "-o", "id").out == "pexec-1\n"


@pytest.mark.parametrize("output", ["table", "json", "jsonl", "yaml"])
def test_nothing_of_others_steers_the_terminal(tocsin, server, output):
    """Escape sequences in an answer are shown, not obeyed."""
    evil = "\x1b]0;title\x07\x1b[2J\u202ecod\x9b31m\rover"
    server.replies = [Reply(200, {"data": [{"id": "act-a", "name": evil, "type": evil}], "meta": {}})]
    out = tocsin("actions", "list", "-o", output).out
    assert not set(out) & {"\x1b", "\x07", "\x9b", "\r", "\u202e"}
    assert "title" in out


def test_quiet_says_nothing_beside_the_answer(tocsin, server):
    """``-q`` leaves out the hints."""
    server.replies = [Reply(202, {"data": {"execution_id": "exec-1", "status": "pending"}})]
    assert "tocsin watch exec-1" in tocsin("trigger", "act-a").err
    done = tocsin("-q", "trigger", "act-a")
    assert (done.out, done.err) == ("· exec-1 pending\n", "")


def test_an_empty_list_says_so(tocsin, server):
    """A table of nothing is a word to the person, and an empty list to a program."""
    server.replies = [Reply(200, {"data": [], "meta": {}})]
    done = tocsin("runs", "list")
    assert (done.code, done.out, done.err) == (0, "", "There is none.\n")
    assert tocsin("runs", "list", "-o", "json").json == []


def test_a_document_is_exported_to_a_file(tocsin, server, tmp_path):
    """``--out`` writes the document; without it, it is printed."""
    server.replies = [Reply(200, {"type": "playbook", "spec_version": "cacao-2.0"})]
    assert tocsin("playbooks", "export", "pb-a").json["spec_version"] == "cacao-2.0"
    assert tocsin("playbooks", "export", "pb-a", "--out", str(tmp_path / "p.json")).out == ""
    assert json.loads((tmp_path / "p.json").read_text())["type"] == "playbook"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, ""),
        (0, "0 ms"),
        (0.0042, "4 ms"),
        (0.25, "0.25 s"),
        (4.1, "4.1 s"),
        (42.4, "42 s"),
        (75, "1:15"),
        (7325, "2:02:05"),
    ],
)
def test_spans_are_short(seconds, shown):
    """A span of time has a unit that a person reads at a glance."""
    from tocsin.cli.output.words import span

    assert span(seconds) == shown
