"""Keys are kept in profiles that nobody else can read, and never shown."""

import stat

import pytest
from scripted_server import KEY, Reply, problem
from tocsin._settings import config_file, profiles

ME = {"data": {"id": "k", "name": "ci", "role": "operator", "workspace_id": "default"}}


@pytest.fixture
def unset(monkeypatch, tmp_path):
    """Nothing in the environment says where the server is."""
    monkeypatch.chdir(tmp_path)

    def forget():
        monkeypatch.delenv("TOCSIN_URL")
        monkeypatch.delenv("TOCSIN_API_KEY")

    return forget


def test_a_key_is_kept_once_the_server_has_accepted_it(tocsin, routes, server, unset):
    """``login`` asks the server first, writes the file for its owner alone, and shows no key."""
    unset()
    done = tocsin("login", "--url", server.url, "--api-key", KEY)
    assert (done.code, config_file().exists()) == (3, False)
    routes["GET /api/me"] = ME
    done = tocsin("login", "--url", server.url, "--api-key", KEY)
    assert done.code == 0
    assert stat.S_IMODE(config_file().stat().st_mode) == 0o600
    assert KEY not in done.out + done.err
    assert profiles()["profiles"]["default"] == {"url": server.url, "api_key": KEY}
    assert tocsin("whoami", "-o", "json").json["name"] == "ci"
    shown = tocsin("config", "show", "-o", "json").json
    assert (shown["url"], shown["url_from"]) == (server.url, "profile default")
    assert KEY not in tocsin("config", "list", "-o", "json").out


def test_profiles_are_told_apart(tocsin, routes, server, unset):
    """One of several is the default; another is named, or made the default."""
    unset()
    routes["GET /api/me"] = ME
    for name in ("one", 'two "quoted"'):
        assert tocsin("login", "--url", server.url, "--api-key", KEY, "--as", name).code == 0
    rows = tocsin("config", "list", "-o", "json").json
    assert [(row["name"], row["default"]) for row in rows] == [("one", True), ('two "quoted"', False)]
    assert tocsin("config", "use", 'two "quoted"').code == 0
    assert [row["default"] for row in tocsin("config", "list", "-o", "json").json] == [False, True]
    assert tocsin("config", "use", "three").code == 3
    assert tocsin("--profile", "three", "whoami").code == 2


def test_a_session_ends_with_logout(tocsin, routes, server, unset):
    """A user signs in by password; ``logout`` ends the session at the server and forgets the token."""
    unset()
    routes["POST /v1/auth/login"] = {"token": "aaa.bbb.ccc"}
    routes["POST /v1/auth/logout"] = {"logged_out": True}
    routes["GET /api/me"] = ME
    assert tocsin("login", "--url", server.url, "--username", "ada", "--password", "pass-word").code == 0
    assert tocsin("logout").code == 0
    assert server.requests[-1].path == "/v1/auth/logout"
    assert server.requests[-1].headers["authorization"] == "Bearer aaa.bbb.ccc"
    assert profiles().get("profiles", {}) == {}
    assert tocsin("logout").code == 3


def test_a_file_that_others_can_read_is_refused(tocsin, routes, server, unset):
    """A key that others can read is no key any longer: the command says what to do."""
    unset()
    routes["GET /api/me"] = ME
    tocsin("login", "--url", server.url, "--api-key", KEY)
    config_file().chmod(0o644)
    done = tocsin("whoami")
    assert done.code == 2
    assert f"chmod 600 {config_file()}" in done.err


def test_the_doctor_names_what_is_wrong(tocsin, routes):
    """Each check in turn; the first that fails says what helps, and gives the exit code."""
    routes["GET /health"] = {"status": "ok", "workers": [{"name": "steps"}]}
    routes["GET /api/me"] = ME
    routes["GET /api/server"] = {"data": {"time": "2000-01-01T00:00:00Z"}}
    done = tocsin("doctor", "-o", "json")
    assert done.code == 0
    assert {row["check"]: row["status"] for row in done.json} == {
        "client": "ok",
        "configuration": "ok",
        "server": "ok",
        "workers": "ok",
        "caller": "ok",
        "clock": "warn",
    }
    routes["GET /api/me"] = problem(401, "unauthorized")
    done = tocsin("doctor")
    assert done.code == 4
    assert done.out.splitlines()[-1].startswith("✗ caller: ")
    assert "tocsin login" in done.out
    routes["GET /health"] = Reply(503, {"status": "degraded", "workers": []})
    assert "! workers: none is there" in tocsin("doctor").out
