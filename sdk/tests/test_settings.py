"""Where address and key come from, and where the key never goes."""

import json
import logging
import os
import stat
import sys
import traceback

import pytest
from scripted_server import KEY, Reply
from tocsin import Client
from tocsin._settings import settings
from tocsin.errors import ConfigurationError

HTTPS = "https://tocsin.example.com"


@pytest.fixture
def profiles(tmp_path):
    """Writes the file with the profiles."""
    pytest.importorskip("tomllib" if sys.version_info >= (3, 11) else "tomli")

    def write(text, mode=0o600):
        path = tmp_path / "config" / "tocsin" / "config.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    return write


TWO = f"""
default = "home"
[profiles.home]
url = "{HTTPS}"
api_key = "tcn_home_1"
[profiles.work]
url = "https://work.example.com/"
api_key = "tcn_work_1"
"""


@pytest.fixture
def checkout(tmp_path):
    """A checkout of Tocsin that runs, as ``make run`` leaves it; returns a folder within."""
    root = tmp_path / "checkout"
    (root / "launcher").mkdir(parents=True)
    (root / "launcher" / "__main__.py").touch()
    (root / "var").mkdir()
    (root / "var" / "launcher.lock").write_text(json.dumps({"pid": os.getpid(), "url": "http://127.0.0.1:8080"}))
    (root / "var" / "demo.key").write_text("tcn_demo_1\n")
    (root / "docs" / "deep").mkdir(parents=True)
    return root / "docs" / "deep"


def test_the_first_that_says_so_counts(monkeypatch, profiles, checkout):
    """Arguments, then the environment, then the profile, then the checkout that runs here."""
    monkeypatch.chdir(checkout)
    assert settings(None, None).url == "http://127.0.0.1:8080"
    assert settings(None, None).key.reveal() == "tcn_demo_1"
    profiles(TWO)
    assert settings(None, None).url == HTTPS
    monkeypatch.setenv("TOCSIN_PROFILE", "work")
    assert settings(None, None).url == "https://work.example.com"
    assert settings(None, None, "home").key.reveal() == "tcn_home_1"
    monkeypatch.setenv("TOCSIN_URL", "https://env.example.com")
    monkeypatch.setenv("TOCSIN_API_KEY", "tcn_env_1")
    assert settings(None, None).url == "https://env.example.com"
    assert settings(None, None).key.reveal() == "tcn_env_1"
    assert settings("https://argument.example.com", "tcn_argument_1").url == "https://argument.example.com"


def test_a_key_goes_only_to_its_own_address(monkeypatch, profiles):
    """The key of a profile is not sent to another address; to its own it is."""
    profiles(TWO)
    assert settings("https://elsewhere.example.com", None).key is None
    assert settings(f"{HTTPS}/", None).key.reveal() == "tcn_home_1"
    assert settings(None, "tcn_mine_1").url == HTTPS
    assert settings(None, "tcn_mine_1").key.reveal() == "tcn_mine_1"


def test_a_key_of_the_environment_goes_only_to_its_own_address(monkeypatch):
    """``TOCSIN_API_KEY`` belongs to ``TOCSIN_URL``; without one it is for the address of the program."""
    monkeypatch.setenv("TOCSIN_API_KEY", "tcn_env_1")
    assert settings(HTTPS, None).key.reveal() == "tcn_env_1"
    monkeypatch.setenv("TOCSIN_URL", HTTPS)
    assert settings(f"{HTTPS}/", None).key.reveal() == "tcn_env_1"
    assert settings("https://elsewhere.example.com", None).key is None


def test_a_profile_that_the_program_names_wins_over_the_environment(monkeypatch, profiles):
    """``Client(profile="work")`` is an argument: no variable makes it call another server, or with another key."""
    profiles(TWO)
    monkeypatch.setenv("TOCSIN_URL", "https://env.example.com")
    monkeypatch.setenv("TOCSIN_API_KEY", "tcn_env_1")
    assert settings(None, None, "work").url == "https://work.example.com"
    assert settings(None, None, "work").key.reveal() == "tcn_work_1"


def test_a_proxy_of_the_environment_does_not_see_what_stays_here(server, monkeypatch):
    """What goes to this machine goes there directly: a proxy would read the key, which is not encrypted."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    server.replies = [Reply(200, {"data": {"id": "act-a"}})]
    with Client(server.url, KEY, tries=1) as client:
        assert client.actions.get("act-a").id == "act-a"


def test_a_checkout_that_has_stopped_is_none(monkeypatch, checkout):
    """The facts of a launcher that is gone are not believed."""
    root = checkout.parents[1]
    (root / "var" / "launcher.lock").write_text(json.dumps({"pid": 2**22 + 1, "url": "http://127.0.0.1:8080"}))
    monkeypatch.chdir(checkout)
    with pytest.raises(ConfigurationError, match="No server is named"):
        settings(None, None)


@pytest.mark.skipif(os.name != "posix", reason="file modes")
def test_a_file_that_others_can_read_is_refused(profiles):
    """Keys in a file that others can read are not used; the error says what to do."""
    path = profiles(TWO, mode=0o640)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        settings(None, None)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_mistakes_in_the_profiles_are_named(profiles):
    """An unknown profile is named with those that exist; a broken file with what is wrong."""
    profiles(TWO)
    with pytest.raises(ConfigurationError, match=r"no profile 'nowhere'.*home, work"):
        settings(None, None, "nowhere")
    profiles("[profiles\n")
    with pytest.raises(ConfigurationError, match="not TOML"):
        settings(None, None)


@pytest.mark.parametrize(
    "text", ["profiles = 3", "default = 3", "default = ['a']", "default = 'a'\n[profiles]\na = 'tcn_secret'", "\xff"]
)
def test_a_file_of_another_shape_is_named(profiles, text):
    """Values of other kinds than a profile has are named with the file, and not shown."""
    profiles(text).write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigurationError, match=r"config\.toml") as raised:
        settings(None, None)
    assert "tcn_secret" not in str(raised.value)


@pytest.mark.skipif(os.name != "posix", reason="file modes")
def test_a_link_is_as_safe_as_the_file_behind_it(profiles, tmp_path):
    """What counts is who can read the file itself."""
    path = profiles(TWO, mode=0o644)
    path.rename(tmp_path / "elsewhere.toml")
    path.symlink_to(tmp_path / "elsewhere.toml")
    with pytest.raises(ConfigurationError, match="chmod 600"):
        settings(None, None)
    (tmp_path / "elsewhere.toml").chmod(0o600)
    assert settings(None, None).url == HTTPS


def test_settings_that_are_refused_show_no_key(profiles, monkeypatch):
    """A traceback with the values of variables shows no key, neither those given nor those of the file."""

    def shown(**more):
        with pytest.raises(ConfigurationError) as raised:
            Client(**more)
        report = traceback.TracebackException.from_exception(raised.value, capture_locals=True)
        frames = [frame for frame in report.stack if "tocsin" in frame.filename and "test_" not in frame.filename]
        assert frames
        return "".join(str(frame.locals) for frame in frames)

    for url in ("http://remote.example.com", "nothing", "https://x:abc"):
        assert KEY not in shown(url=url, api_key=KEY)
    monkeypatch.setenv("TOCSIN_API_KEY", "tcn_env_1\n")
    assert "tcn_env_1" not in shown(url=HTTPS)
    monkeypatch.delenv("TOCSIN_API_KEY")
    profiles(TWO)
    assert "tcn_home_1" not in shown(profile="nowhere")
    profiles(TWO + "default = 1\n[profiles\n")
    assert "tcn_home_1" not in shown()
    profiles("default = 1\n" + TWO.replace("default", "other"))
    assert "tcn_home_1" not in shown()


@pytest.mark.parametrize("url", ["http://tocsin.example.com", "http://10.0.0.1:8080", "http://127.0.0.1.example.com"])
def test_a_key_is_not_sent_in_clear(url):
    """Plain http goes to this machine only, unless that is wanted."""
    with pytest.raises(ConfigurationError, match="not encrypted"):
        Client(url, KEY)
    Client(url, KEY, insecure=True).close()


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://[::1]:1", "http://localhost:1", "http://a.localhost"])
def test_loopback_is_this_machine(url):
    """Loopback in all its spellings needs no encryption."""
    Client(url, KEY).close()


@pytest.mark.parametrize(
    "url",
    [
        *("tocsin.example.com", "ftp://x", "https://user:pw@x", "https://x/?a=1", "https://", "https://x:abc"),
        *("https://x:99999", "http://[::1", "https://a b.example.com", "https://x\n.com", "https://..", "ftp://u:pw@x"),
        *("//user:pw@x", "https://user:pw@", f"https://{'a' * 64}.example.com"),
    ],
)
def test_what_is_no_address_is_said(url):
    """An address is a scheme, a host, perhaps a port and a path; a password in it is not repeated."""
    with pytest.raises(ConfigurationError) as raised:
        Client(url, KEY)
    assert "pw" not in str(raised.value)


def test_a_key_with_a_line_break_is_said(monkeypatch):
    """A key read from a file with its line break is named, not sent."""
    with pytest.raises(ConfigurationError, match="line break"):
        Client(HTTPS, KEY + "\n")


def test_the_key_is_masked_everywhere(server, client, caplog, pauses):
    """Neither the client's ``repr``, nor a log line, nor a traceback with the values of variables shows the key."""
    server.replies = [Reply(200, {"data": {"id": "act-a"}}, cut=3)]
    with caplog.at_level(logging.DEBUG):
        try:
            client.actions.get("act-a")
        except Exception as error:
            shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format(chain=True))
    secret = KEY.rpartition("_")[2]
    assert "GET /api/actions/act-a" in caplog.text
    for text in (repr(client), caplog.text, shown):
        assert secret not in text
    assert repr(client) == f"Client('{server.url}', api_key='tcn_0123…')"
