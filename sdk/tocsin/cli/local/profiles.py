"""Profiles: addresses of servers with their keys, in a file that its owner alone can read."""

from __future__ import annotations

import os
import sys
from typing import Any, Dict, List, Optional

import click

from tocsin._settings import Key, config_file, running_checkout
from tocsin.cli import profiles as file
from tocsin.cli.failures import MISSING, Failure
from tocsin.cli.options import on_terminal
from tocsin.cli.root import noun
from tocsin.cli.session import Session, session
from tocsin.cli.verb import Command

config = noun("config")


def _login(api_key: Optional[str], username: Optional[str], password: Optional[str], name: Optional[str]) -> None:
    """Keep an address and a key, after the server has accepted them."""
    here = session()
    url = here.url or os.environ.get("TOCSIN_URL") or _asked("Address of the server", "--url")
    if username is not None:
        from tocsin.cli.nouns.access import password_of

        secret = password_of(password, f"Password of {username}")
        key = str(here.client_of(url).me.sign_in(username, secret).token)
    else:
        key = _stdin() if api_key == "-" else api_key or _asked("API key", "--api-key", hidden=True)
    me = here.client_of(url, key).me.get()
    known = file.read()
    wanted = name or here.profile or "default"
    known["profiles"][wanted] = {"url": url.rstrip("/"), "api_key": key}
    known.setdefault("default", wanted)
    path = file.write(known)
    here.say(f"{me.name} ({me.role}) at {url}: kept as profile {wanted} in {path}.")


def _stdin() -> str:
    return sys.stdin.readline().strip()


def _asked(words: str, option: str, *, hidden: bool = False) -> str:
    if not on_terminal():
        raise click.UsageError(f"Outside a terminal this takes {option}.", click.get_current_context())
    found: str = click.prompt(words, hide_input=hidden, err=True)
    return found.strip()


login = Command(
    "login",
    params=[
        click.Option(["--api-key"], metavar="KEY", help="The key; - reads it from standard input."),
        click.Option(["--username"], metavar="NAME", help="Sign in as this user instead."),
        click.Option(["--password"], metavar="PASSWORD", help="The password; - reads it from standard input."),
        click.Option(["--as", "name"], metavar="PROFILE", help="The profile to keep it in."),
    ],
    callback=_login,
    help="Keep a key for a server in a profile, once the server has accepted it.",
    carries=["login"],
)


def _chosen(here: Session, known: Dict[str, Any]) -> str:
    wanted = here.profile or os.environ.get("TOCSIN_PROFILE") or known.get("default") or "default"
    if wanted not in known["profiles"]:
        raise Failure(f"There is no profile {wanted!r} in {config_file()}.", MISSING, "not_found")
    return str(wanted)


def _logout() -> None:
    """Forget the key of a profile; a session ends at the server, too."""
    from tocsin._errors import TocsinError

    here = session()
    known = file.read()
    wanted = _chosen(here, known)
    gone = known["profiles"].pop(wanted)
    if not str(gone.get("api_key", "")).startswith("tcn_"):
        try:
            here.client_of(gone["url"], gone["api_key"]).me.sign_out()
        except TocsinError as error:
            here.say(f"The server does not end the session: {error}")
    if known.get("default") == wanted:
        del known["default"]
        if known["profiles"]:
            known["default"] = next(iter(known["profiles"]))
    file.write(known)
    here.say(f"The key of profile {wanted} is forgotten.")


logout = Command(
    "logout", callback=_logout, help="Forget the key of a profile; end its session at the server.", carries=["logout"]
)


def _rows(known: Dict[str, Any]) -> List[Dict[str, Any]]:
    default = known.get("default") or "default"
    return [
        {
            "name": name,
            "default": name == default,
            "url": one.get("url"),
            "api_key": str(Key(str(one["api_key"]))) if one.get("api_key") else None,
        }
        for name, one in known["profiles"].items()
    ]


def _list() -> None:
    from tocsin.cli.output.formats import show_list

    show_list(session(), _rows(file.read()), "Profile")


def _show() -> None:
    """The settings in force, and where each comes from."""
    from pathlib import Path

    from tocsin._settings import settings
    from tocsin.cli.output.formats import show_one

    here = session()
    found = settings(here.url, None, here.profile)
    origin = _origin(here, found.url, running_checkout(Path.cwd()).get("url"))
    key_from = "TOCSIN_API_KEY" if os.environ.get("TOCSIN_API_KEY") else origin
    show_one(
        here,
        {
            "url": found.url,
            "url_from": "--url" if here.url else "TOCSIN_URL" if os.environ.get("TOCSIN_URL") else origin,
            "api_key": str(found.key) if found.key else None,
            "api_key_from": key_from if found.key else None,
            "file": str(config_file()),
        },
    )


def _origin(here: Session, url: str, running: Optional[str]) -> str:
    known = file.read()
    wanted = here.profile or os.environ.get("TOCSIN_PROFILE") or known.get("default") or "default"
    if str(known["profiles"].get(wanted, {}).get("url", "")).rstrip("/") == url:
        return f"profile {wanted}"
    return "the checkout that runs here" if running else "nothing"


def _use(name: str) -> None:
    known = file.read()
    if name not in known["profiles"]:
        have = ", ".join(sorted(known["profiles"])) or "none"
        raise Failure(f"There is no profile {name!r}; there are: {have}.", MISSING, "not_found")
    known["default"] = name
    session().say(f"{name} is the default: {file.write(known)}.")


def _path() -> None:
    click.echo(str(config_file()))


for _name, _act, _words in (
    ("list", _list, "The profiles."),
    ("show", _show, "The settings in force, and where they come from."),
    ("path", _path, "Where the file with the profiles is."),
):
    config.add_command(Command(_name, callback=_act, help=_words))
config.add_command(Command("use", params=[click.Argument(["name"])], callback=_use, help="Make a profile the default."))
