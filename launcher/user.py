"""Makes a user: ``python -m launcher.user NAME``.

Options are ``--workspace ID``, ``--role ROLE``, ``--tenants PATTERNS`` and ``--reset``. This is the way to the first
user of an installation, and back in for an admin who has lost the password; more can be made through the API. Standard
output is ``NAME:PASSWORD`` and nothing else, with a new random password that is shown this once. The workspace is made
unless it is there.
"""

import argparse
import json
import re
import secrets
import sys
from typing import Any

from config.errors import Conflict
from store import access
from store.callers import passwords, users
from store.engine import db, refusals

_NAME = re.compile(users.NAME)
#: of passwords that are made here: beyond guessing
_BYTES = 18


def make(
    username: str, *, workspace: str, role: str, grants: str | None = None, reset: bool = False, actor: str
) -> str:
    """The password of a new user.

    With ``reset`` there may be one of this name already.

    Raises:
        Conflict: there is one of this name. Unavailable: the database cannot be reached or has no tables yet.
    """
    password = secrets.token_urlsafe(_BYTES)
    password_hash = passwords.hashed(password)
    rights: dict[str, Any] = {"role": role, "grants": grants, "password_hash": password_hash}
    with db.write() as connection:
        access.ensure_workspace(connection, workspace, workspace)
        row = users.get(connection, username, for_update=True) if reset else None
        if row is None:
            users.create(connection, username=username, workspace_id=workspace, actor=actor, **rights)
        elif row.workspace_id != workspace:
            raise Conflict(f"The user {username!r} is of the workspace {row.workspace_id!r}.")
        else:
            users.change(connection, row, actor, **rights, disabled_at=None)
    return password


def tenants(text: str | None) -> str | None:
    """Grants over tenants, written with commas, as a row keeps them.

    Raises:
        ArgumentTypeError: a pattern is none.
    """
    # the gateway loads slowly and is needed only here
    from gateway import grants

    if text is None:
        return None
    given = [{"tenants": [part.strip() for part in text.split(",")]}]
    problems = grants.check(given)
    if problems:
        raise argparse.ArgumentTypeError(problems[0].detail)
    return json.dumps([grant.written() for grant in grants.read(given)])


def main(arguments: list[str]) -> int:
    """Print a new user's name and password."""
    parser = argparse.ArgumentParser(
        prog="python -m launcher.user", description="Make a user and print NAME:PASSWORD once."
    )
    parser.add_argument("name", type=_name, help="lower case; what they sign in with")
    parser.add_argument("--workspace", default="default", help="where their actions are (default: %(default)s)")
    parser.add_argument("--role", default="admin", choices=sorted(access.ROLES), help="default: %(default)s")
    parser.add_argument("--tenants", type=tenants, help="'*' or names, with commas (default: the workspace)")
    parser.add_argument("--reset", action="store_true", help="give a user that there is all this and a new password")
    wanted = parser.parse_args(arguments)
    with refusals.one_line():
        try:
            password = make(
                wanted.name,
                workspace=wanted.workspace,
                role=wanted.role,
                grants=wanted.tenants,
                reset=wanted.reset,
                actor="command-line",
            )
        except Conflict as error:
            print(f"{error} --reset gives a new password.", file=sys.stderr)
            return 1
    print(f"{wanted.name}:{password}")
    return 0


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise argparse.ArgumentTypeError("write lower-case letters, digits, '.', '_' and '-', at most 64")
    return text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
