"""Definitions in files: applied, and checked with line and column of what is wrong."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence, Tuple

import click

from tocsin._operations import OPERATIONS
from tocsin.cli.failures import INVALID, Failure
from tocsin.cli.files import line_of, structure_of
from tocsin.cli.options import option
from tocsin.cli.output.words import safe
from tocsin.cli.session import Session, session
from tocsin.cli.verb import Command


def _files() -> click.Parameter:
    return click.Argument(["files"], nargs=-1, required=True, metavar="FILE...", type=click.Path(allow_dash=True))


def apply_command(group: click.Group, resource: str, operations: Sequence[str], words: str) -> Command:
    """The verb ``apply``: create what a file defines, or replace it where it exists."""

    def apply(files: Tuple[str, ...], id: Optional[str], dry_run: bool, force: Optional[bool] = None) -> None:  # noqa: A002
        here = session()
        if id is not None and len(files) > 1:
            raise click.UsageError("--id takes one file.", click.get_current_context())
        # a folder of definitions is refused as a whole before any of it is written
        known = [(name, _definition(name)) for name in files]
        for name, definition in known:
            if dry_run:
                _checked(here, f"validate{resource[:-1].title()}", name, definition)
                continue
            found = _applied(here, resource, name, definition, {"id": id, "force": force})
            _show(here, operations[1], found)

    options: List[click.Parameter] = [
        click.Option(["--id"], metavar="ID", help="The id, in place of the one in the file."),
        click.Option(["--dry-run"], is_flag=True, help="Check it, and write nothing."),
    ]
    options += [option(one, "force") for one in operations if "force" in OPERATIONS[one].query]
    return _command(group, "apply", words, apply, operations, options)


def _command(
    group: click.Group, name: str, words: str, act: Any, operations: Sequence[str], more: List[click.Parameter]
) -> Command:
    made = Command(name, params=[_files(), *more], callback=act, help=words, carries=operations)
    group.add_command(made)
    return made


def _show(here: Session, operation: str, found: Dict[str, Any]) -> None:
    if here.output == "table":
        click.echo(f"{safe(str(found.get('id')))}  {safe(str(found.get('version') or ''))}  {safe(str(found['name']))}")
        for one in found.get("warnings") or ():
            here.say(f"  warning: {_finding(str(one.get('pointer') or '/'), one)}")
    else:
        here.show(operation, found)


def _finding(place: str, one: Dict[str, Any]) -> str:
    return safe(f"{place}: {one.get('message') or one.get('detail')}")


def _definition(name: str) -> Dict[str, Any]:
    found = structure_of(name)
    if not isinstance(found, dict):
        raise Failure(f"{name}: a definition is an object with members.")
    return found


def _applied(
    here: Session, resource: str, name: str, definition: Dict[str, Any], how: Dict[str, Any]
) -> Dict[str, Any]:
    from tocsin._errors import ApiError

    try:
        found: Dict[str, Any] = getattr(here.client, resource).apply(definition, **how).to_dict()
    except ApiError as error:
        raise located(error, name) from None
    return found


def located(error: Any, name: str) -> Any:
    """The error with file, line and column of each fault."""
    from tocsin._errors import Fault

    for one in error.errors:
        error.detail = error.detail.replace(f" {one.pointer}: {one.detail}", "")
    error.errors = [Fault(_place(name, one.pointer), one.detail) for one in error.errors]
    error.detail = f"{name}: {error.detail}"
    return error


def _place(name: str, pointer: str) -> str:
    place = None if name == "-" else line_of(name, pointer)
    return f"{name}:{place[0]}:{place[1]} {pointer or '/'}" if place else pointer


def validate_command(group: click.Group, operation: str, words: str) -> Command:
    """The verb ``validate``."""

    def validate(files: Tuple[str, ...]) -> int:
        here = session()
        good = [_checked(here, operation, name, _definition(name)) for name in files]
        return 0 if all(good) else INVALID

    return _command(group, "validate", words, validate, [operation], [])


def _checked(here: Session, operation: str, name: str, definition: Dict[str, Any]) -> bool:
    """Have a definition checked, and tell what is wrong with it."""
    body = here.call(operation, body=definition).body
    verdict = body.get("data", body)
    if here.output != "table":
        here.show(operation, verdict)
        return bool(verdict["valid"])
    click.echo(f"{name}: {'valid' if verdict['valid'] else 'not valid'}")
    for kind in ("errors", "warnings"):
        for one in verdict.get(kind) or ():
            click.echo(f"  {kind[:-1]}: {_finding(_place(name, str(one.get('pointer') or '')), one)}")
    return bool(verdict["valid"])
