"""Bundles of custom actions: begun, tried and built here, pushed to a server.

``new``, ``test`` and ``build`` need no server; the others are operations of its API. A folder is built before it is
pushed.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import click

from tocsin.cli.failures import ENDED_OTHERWISE, INVALID, MISSING, Failure
from tocsin.cli.options import on_terminal
from tocsin.cli.request import Request
from tocsin.cli.root import noun
from tocsin.cli.session import Session, session
from tocsin.cli.verb import Command, declare

if TYPE_CHECKING:
    from tocsin.actions.bundles.building import Built

bundles = noun("bundles")
_FOLDER = click.Path(exists=False, path_type=Path)

declare(bundles, "list", "listBundles", "The bundles, each with its active version.")
declare(bundles, "show", "getBundle", "One bundle: functions, hosts and secrets of its active version.")
declare(bundles, "versions", "listBundleVersions", "Its versions, the newest first.")
declare(bundles, "version", "getBundleVersion", "One of its versions.")
declare(
    bundles,
    "activate",
    "activateBundle",
    "Make a stored version the active one, forward or back.",
    arguments=("version",),
    members=("force",),
)
declare(
    bundles,
    "delete",
    "deleteBundle",
    "Delete a bundle with its versions, actions and secrets.",
    asks="Delete the bundle {bundle_name} with its actions and secrets?",
    said="{bundle_name} is deleted.",
)
declare(
    bundles,
    "delete-version",
    "deleteBundleVersion",
    "Delete a version that is not the active one.",
    asks="Delete version {bundle_version} of {bundle_name}?",
    said="Version {bundle_version} of {bundle_name} is deleted.",
)


def _built(folder: Path) -> Built:
    """The archive of a folder, which has no faults."""
    from tocsin.actions.bundles.building import build

    if not folder.is_dir():
        raise Failure(f"{folder} is no folder; tocsin bundles new {folder} begins one.", MISSING, "missing")
    built = build(folder)
    if built.faults:
        raise Failure("\n".join(f"{folder}/{fault}" for fault in built.faults), INVALID, "invalid_bundle")
    return built


def _push(here: Session, request: Request, archive: Path) -> None:
    from tocsin.cli.output.formats import show_one

    content = _built(archive).content if archive.is_dir() else _bytes(archive)
    answer = here.call("pushBundle", request.path, request.query, body=content, kind="application/zip").body
    pushed = answer["data"]
    # what changes comes first: it is why a person looks
    pushed = {**{name: pushed[name] for name in ("name", "version", "changes") if name in pushed}, **pushed}
    show_one(here, pushed, "BundlePushed")
    if request.query.get("dry_run"):
        here.say("Nothing was stored: this is what a push would change.")


def _bytes(archive: Path) -> bytes:
    try:
        return archive.read_bytes()
    except OSError as error:
        raise Failure(f"{archive} cannot be read: {error.strerror}", MISSING, "missing") from None


declare(
    bundles,
    "push",
    "pushBundle",
    "Push a folder or an archive; --dry-run shows what would change, hosts and secrets first.",
    more=[click.Argument(["archive"], metavar="FOLDER|ZIP", type=_FOLDER)],
    act=_push,
)


def _secret(here: Session, request: Request, value: Optional[str]) -> None:
    if value is None and not on_terminal():
        raise click.UsageError("Outside a terminal this takes --value -.", click.get_current_context())
    if value == "-":
        value = sys.stdin.read().rstrip("\n")
    given = value if value is not None else click.prompt("Value", hide_input=True, err=True)
    here.call("putBundleSecret", request.path, body={"value": given})
    here.say(f"The secret {request.path['secret_name']} of {request.path['bundle_name']} has its value.")


declare(
    bundles,
    "secret",
    "putBundleSecret",
    "Give a secret its value, which is asked for without echo and never shown.",
    more=[click.Option(["--value"], metavar="VALUE|-", help="The value; - reads standard input.")],
    act=_secret,
)
declare(
    bundles,
    "forget-secret",
    "deleteBundleSecret",
    "Forget the value of a secret.",
    asks="Forget the secret {secret_name} of {bundle_name}?",
    said="The secret {secret_name} of {bundle_name} is forgotten.",
)


def _new(folder: Path) -> None:
    from tocsin.actions.bundles.building import new

    try:
        files = new(folder)
    except OSError as error:
        raise Failure(str(error), INVALID, "exists") from None
    for path in files:
        click.echo(str(path))
    session().say(f"Next: tocsin bundles test {folder}, then tocsin bundles push {folder} --dry-run")


def _build(folder: Path, into: Optional[Path]) -> None:
    built = _built(folder)
    path = into or Path(built.file_name)
    path.write_bytes(built.content)
    click.echo(f"{path}  {built.digest}")


def _test(folder: Path, record: bool) -> int:
    _built(folder)
    try:
        import pytest  # noqa: F401 - whether it is there
    except ImportError:
        raise Failure("The tests of a bundle need pytest: pip install pytest", MISSING, "missing") from None
    command = [sys.executable, "-m", "pytest", "-q", *(["--tocsin-record"] if record else []), str(folder)]
    ended = subprocess.run(command, check=False)  # noqa: S603 - the interpreter's own
    return 0 if ended.returncode == 0 else ENDED_OTHERWISE


def _local(name: str, words: str, callback: Any, *more: click.Parameter) -> None:
    argument = click.Argument(["folder"], metavar="FOLDER", type=_FOLDER)
    bundles.add_command(Command(name, params=[argument, *more], callback=callback, help=words))


_local("new", "Write the files of a new bundle.", _new)
_local(
    "build",
    "Check a folder as the server does, and write its archive: the same files, the same bytes.",
    _build,
    click.Option(["--to", "into"], metavar="FILE", type=click.Path(path_type=Path), help="Where to; NAME-VERSION.zip."),
)
_local(
    "test",
    "Run the tests of a bundle, with recorded calls; needs no server.",
    _test,
    click.Option(["--record"], is_flag=True, help="Make the calls, and write the recordings again."),
)
