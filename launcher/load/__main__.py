"""Registers the actions and playbooks of a folder: ``python -m launcher.load DIR``.

Options are ``--workspace ID``, ``--dry-run`` and ``--set NAME=VALUE``. A second call changes nothing: each definition
is new, revised or unchanged. If any is refused, every fault of every file is printed, and nothing is written. What is
stored and not in the folder stays as it is.

Exit status 0: all is registered (with ``--dry-run``: could be). 1: something was refused, or another caller changed a
definition meanwhile; nothing was written. 2: wrong arguments, or the database is away.
"""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from config.errors import Conflict, Unavailable
from launcher.load import files
from launcher.load.files import Found
from store import access
from store.access import ROLES, Caller
from store.engine import db
from tasks.definitions import collection
from tasks.definitions.collection import NEW, REFUSED, REVISED, UNCHANGED, Member
from tasks.offload import pool

_WORDS = (NEW, REVISED, UNCHANGED, REFUSED)


def main(arguments: Sequence[str]) -> int:
    """Register a folder, and print what became of each definition."""
    wanted = _parser().parse_args(arguments)
    if not wanted.folder.is_dir():
        print(f"{wanted.folder} is no folder", file=sys.stderr)
        return 2
    variables = {**os.environ, **dict(wanted.variables)}  # noqa: TID251 - the operator's own names, not settings
    try:
        return _load(wanted.folder, wanted.workspace, variables, dry_run=wanted.dry_run)
    except Unavailable as error:
        print(f"{error} Has `python -m store.migrate` been run?", file=sys.stderr)
        return 2
    except Conflict as error:
        print(f"Nothing was written, because another caller was faster; start this again. {error}", file=sys.stderr)
        return 1
    finally:
        pool.end()


def _parser() -> argparse.ArgumentParser:
    words = "Register the actions and playbooks of a folder: all of them, or none if one has a fault."
    parser = argparse.ArgumentParser(prog="python -m launcher.load", description=words)
    parser.add_argument("folder", type=Path, metavar="DIR", help="its *.yaml, *.yml and *.json, also in folders below")
    parser.add_argument("--workspace", default="default", help="where they are registered (default: %(default)s)")
    parser.add_argument("--dry-run", action="store_true", help="only say what would become of each definition")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        type=_variable,
        dest="variables",
        metavar="NAME=VALUE",
        help="a variable that configs of actions name as ${NAME}; others come from the environment",
    )
    return parser


def _variable(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not (name and sign):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=VALUE")
    return name, value


def _load(folder: Path, workspace: str, variables: dict[str, str], *, dry_run: bool) -> int:
    with db.read() as connection:
        known = access.workspace_ids(connection)
    if workspace not in known:
        print(
            f"There is no workspace {workspace!r} (there are: {', '.join(known) or 'none'}); "
            f"python -m launcher.key --workspace {workspace} makes it with its first key",
            file=sys.stderr,
        )
        return 2
    found = files.read(folder, variables)
    members = [one.member for one in found if one.member is not None]
    caller = Caller(key_id="command-line", workspace_id=workspace, role="admin", permissions=ROLES["admin"])
    unread = len(members) < len(found)
    sound = collection.register(caller, members, dry_run=dry_run or unread) and not unread
    _print(found, written=sound and not dry_run)
    return 0 if sound else 1


def _print(found: Sequence[Found], *, written: bool) -> None:
    for one in found:
        print(_line(one.member, one.path) if one.member is not None else f"{REFUSED:<10}{one.path}")
        for fault in one.faults:
            print(f"{'':<10}{fault.pointer or '(the whole)'}: {fault.detail}")
    counts = Counter(one.member.outcome if one.member is not None else REFUSED for one in found)
    said = ", ".join(f"{counts[word]} {word}" for word in _WORDS if counts[word]) or "no definitions"
    print(said if written else f"{said}; nothing was written")


def _line(member: Member, path: Path) -> str:
    version = member.version or ""
    if member.outcome == REVISED and member.before != member.version:
        version = f"{member.before} → {member.version}"
    return f"{member.outcome:<10}{member.noun:<9} {member.id} {version}".rstrip() + f"  ({path})"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
