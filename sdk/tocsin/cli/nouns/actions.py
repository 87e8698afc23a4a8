"""Actions: define them, try them, trigger them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Optional

import click

from tocsin.cli.local.trying import of_file, test
from tocsin.cli.request import Request
from tocsin.cli.root import noun
from tocsin.cli.session import Session
from tocsin.cli.starting import following_options, started, starting_options
from tocsin.cli.values import parameter_options, parameters_of
from tocsin.cli.verb import Command, declare
from tocsin.cli.writing import apply_command, validate_command

actions = noun("actions")

declare(actions, "list", "listActions", "The actions, the newest first.")
declare(actions, "get", "getAction", "One action, as it is now.")
apply_command(actions, "actions", ("createAction", "replaceAction"), "Create an action, or replace it where it exists.")
declare(actions, "change", "changeAction", "Change members of a definition.", file="must")
validate_command(actions, "validateAction", "Check a definition without storing it.")
declare(
    actions,
    "delete",
    "deleteAction",
    "Delete an action.",
    asks="Delete the action {action_id}?",
    said="{action_id} is deleted.",
)
declare(actions, "enable", "enableAction", "Let it be triggered again.", said="{action_id} is enabled.")
declare(actions, "disable", "disableAction", "Let it no longer be triggered.", said="{action_id} is disabled.")


def _schema_of(here: Session, request: Request, file: Optional[Path]) -> None:
    from tocsin.cli.output.formats import show_one

    if file is None:
        request.shown(here)
        return
    show_one(here, of_file(file))


declare(
    actions,
    "schema",
    "getActionSchema",
    "The JSON Schema of a definition, for editors; of a FILE of functions what the catalogue learns of each.",
    more=[click.Argument(["file"], required=False, metavar="[FILE]", type=click.Path(path_type=Path))],
    act=_schema_of,
)
actions.add_command(test)
declare(actions, "versions", "listActionVersions", "Its versions, the newest first.")
declare(actions, "executions", "listActionExecutions", "Its executions, the newest first.")


declare(actions, "version", "getActionVersion", "One of its versions.")
declare(
    actions,
    "diff",
    "compareActionVersions",
    "The differences between two versions, or one and the present.",
    arguments=("from", "to?"),
)
declare(
    actions,
    "restore",
    "restoreActionVersion",
    "Make an earlier version the present one; that makes a version, too.",
    asks="Restore version {version} of {action_id}?",
)


def _trigger(here: Session, request: Request, given: Any, params: Optional[str], **following: Any) -> int:
    action = request.path["action_id"]

    def declared() -> Any:
        return here.call("getAction", {"action_id": action}).body["data"].get("parameters") or ()

    body = {**(request.body or {}), "parameters": parameters_of(given, params, declared)}
    return started(here, request._replace(body=body), **following)


def trigger_command(group: Optional[click.Group]) -> Command:
    """The verb ``trigger``."""
    return declare(
        group,
        "trigger",
        "triggerAction",
        "Trigger an action; with --watch follow it until it ends.",
        members=("target", "sandbox", "dry_run"),
        more=[*parameter_options(), *starting_options(), *following_options()],
        act=_trigger,
    )


trigger = trigger_command(actions)


def _schema(here: Session, request: Request) -> None:
    from tocsin.cli.output.formats import show_list

    found = request.call(here).body["data"].get("parameters") or []
    show_list(here, found, "Parameter")


declare(actions, "parameters", "getAction", "The parameters that an action declares.", act=_schema)
