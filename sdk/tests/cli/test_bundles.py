"""Bundles and functions from the terminal: what needs no server, and what a push sends."""

import zipfile
from io import BytesIO

import pytest
from scripted_server import Reply


@pytest.fixture
def folder(tocsin, tmp_path, monkeypatch):
    """A new bundle."""
    monkeypatch.chdir(tmp_path)
    assert tocsin("bundles", "new", "acme-lookup").code == 0
    return tmp_path / "acme-lookup"


def test_a_bundle_is_begun_tried_and_built_without_a_server(tocsin, folder):
    """Its own test passes, a call that is not recorded fails and names the options, two builds have the same bytes."""
    assert tocsin("bundles", "new", "acme-lookup").code == 6
    assert tocsin("bundles", "test", "acme-lookup").code == 0
    tried = tocsin("actions", "test", f"{folder}/actions/lookup.py::lookup", "-p", "name=web-01")
    assert tried.code == 1
    assert "--record FILE" in tried.err
    learned = tocsin("actions", "schema", f"{folder}/actions/lookup.py", "-o", "json").json
    assert [one["id"] for one in learned] == ["lookup"]
    first = tocsin("bundles", "build", "acme-lookup", "--to", str(folder.parent / "one.zip"))
    second = tocsin("bundles", "build", "acme-lookup", "--to", str(folder.parent / "two.zip"))
    assert first.out.split()[1] == second.out.split()[1]
    assert (folder.parent / "one.zip").read_bytes() == (folder.parent / "two.zip").read_bytes()


def test_what_is_wrong_is_said_with_file_and_line(tocsin, folder):
    """Each fault once; nothing is written or sent."""
    (folder / "actions" / "lookup.py").write_text("def broken(:\n")
    built = tocsin("bundles", "build", "acme-lookup")
    assert built.code == 6
    assert "lookup.py, line 1" in built.err
    assert not list(folder.parent.glob("*.zip"))
    assert tocsin("bundles", "push", "acme-other").code == 3
    assert tocsin("actions", "test", f"{folder}/actions/none.py").code == 6
    assert tocsin("actions", "test", f"{folder}/actions/lookup.py", "--live", "--replay", "x.json").code == 2


def test_a_folder_is_pushed_as_its_archive(tocsin, server, routes, folder):
    """A folder is built first; ``--dry-run`` is a parameter of the query."""
    routes["POST /api/bundles"] = Reply(201, {"data": {"name": "acme-lookup", "version": "0.1.0", "changes": {}}})
    assert tocsin("bundles", "push", "acme-lookup", "--dry-run", "-o", "json").json["version"] == "0.1.0"
    [request] = server.requests
    assert "dry_run=true" in request.path
    assert request.headers["content-type"] == "application/zip"
    assert "bundle.toml" in zipfile.ZipFile(BytesIO(request.body)).namelist()


def test_a_secret_is_read_and_never_shown(tocsin, server, routes, folder, monkeypatch):
    """From standard input with ``-``; it is in the request alone."""
    routes["PUT /api/bundles/acme-lookup/secrets/TOKEN"] = Reply(204)
    monkeypatch.setattr("sys.stdin", __import__("io").StringIO("s3cret-4711\n"))
    done = tocsin("bundles", "secret", "acme-lookup", "TOKEN", "--value", "-")
    assert done.code == 0
    assert "s3cret" not in done.out + done.err
    assert b"s3cret-4711" in server.requests[0].body
