"""Keys and users: who may call."""

from __future__ import annotations

import sys
from typing import Any, Dict, Optional

import click

from tocsin.cli.options import on_terminal
from tocsin.cli.request import Request
from tocsin.cli.root import noun
from tocsin.cli.session import Session
from tocsin.cli.verb import declare

keys, users = noun("keys"), noun("users")
declare(keys, "list", "listKeys", "The keys, without the keys themselves.")
declare(keys, "get", "getKey", "One key.")
declare(
    keys,
    "create",
    "createKey",
    "Create a key; it is shown this once.",
    arguments=("name",),
    members=("role", "scopes", "grants", "expires_at"),
)
declare(keys, "rename", "renameKey", "Give a key another name.", arguments=("name",), said="{key_id} is now {name}.")
declare(
    keys,
    "rotate",
    "rotateKey",
    "Give a key another secret, which is shown this once.",
    members=("keep_hours", "expires_at", "replace"),
    asks="Give {key_id} another secret?",
)
declare(keys, "revoke", "revokeKey", "Revoke a key.", asks="Revoke the key {key_id}?", said="{key_id} is revoked.")

declare(users, "list", "listUsers", "The users.")
declare(users, "get", "getUser", "One user.")


def password_of(given: Optional[str], words: str, *, twice: bool = False) -> str:
    """A password: the given one (``-`` reads a line), else typed by the user without echo."""
    if given == "-":
        return sys.stdin.readline().rstrip("\n")
    if given is not None:
        return given
    if not on_terminal():
        raise click.UsageError("Outside a terminal this takes --password.", click.get_current_context())
    found: str = click.prompt(words, hide_input=True, confirmation_prompt=twice, err=True)
    return found


def _password_option() -> click.Parameter:
    return click.Option(["--password"], metavar="PASSWORD", help="The password; - reads it from standard input.")


def _create(here: Session, request: Request, password: Optional[str]) -> None:
    body: Dict[str, Any] = {**request.body, "password": password_of(password, "Password", twice=True)}
    here.show("createUser", request._replace(body=body).call(here).body)


declare(
    users,
    "create",
    "createUser",
    "Create a user; the password is asked for.",
    arguments=("username", "role"),
    members=("grants",),
    more=[_password_option()],
    act=_create,
)


def _change(here: Session, request: Request, password: Optional[str], ask: bool) -> None:
    wanted = {"password": password_of(password, "New password", twice=True)} if ask or password else {}
    here.show("changeUser", request._replace(body={**(request.body or {}), **wanted}).call(here).body)


declare(
    users,
    "change",
    "changeUser",
    "Change what is given; it ends the user's sessions.",
    members=("role", "grants"),
    more=[_password_option(), click.Option(["--ask-password", "ask"], is_flag=True, help="Ask for a new password.")],
    act=_change,
)
declare(
    users,
    "disable",
    "disableUser",
    "Let the user no longer sign in.",
    asks="Disable {username}?",
    said="{username} is disabled.",
)
declare(users, "enable", "enableUser", "Let the user sign in again.", said="{username} is enabled.")


def _passwd(here: Session, request: Request, old: Optional[str], new: Optional[str]) -> None:
    body = {"old": password_of(old, "Present password"), "new": password_of(new, "New password", twice=True)}
    here.show("changePassword", request._replace(body=body).call(here).body)


declare(
    users,
    "password",
    "changePassword",
    "Change your own password; it takes the session of a login.",
    more=[
        click.Option(["--old"], metavar="PASSWORD", help="The present one; - reads it from standard input."),
        click.Option(["--new"], metavar="PASSWORD", help="The new one; - reads it from standard input."),
    ],
    act=_passwd,
)
