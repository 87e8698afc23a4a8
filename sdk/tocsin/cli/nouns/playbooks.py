"""Playbooks: define, try, run, import and export them."""

from __future__ import annotations

from typing import Any, Optional

import click

from tocsin.cli.files import structure_of
from tocsin.cli.request import Request
from tocsin.cli.root import noun
from tocsin.cli.session import Session
from tocsin.cli.starting import following_options, started, starting_options
from tocsin.cli.values import parameter_options, parameters_of
from tocsin.cli.verb import Command, declare
from tocsin.cli.writing import apply_command, validate_command

playbooks = noun("playbooks")

declare(playbooks, "list", "listPlaybooks", "The playbooks, the newest first.")
declare(playbooks, "get", "getPlaybook", "One playbook with its steps.")
apply_command(
    playbooks, "playbooks", ("createPlaybook", "replacePlaybook"), "Create a playbook, or replace it where it exists."
)
declare(playbooks, "change", "changePlaybook", "Change members of a definition.", file="must")
validate_command(playbooks, "validatePlaybook", "Check a definition, or a CACAO document, without storing it.")
declare(
    playbooks,
    "delete",
    "deletePlaybook",
    "Delete a playbook.",
    asks="Delete the playbook {playbook_id}?",
    said="{playbook_id} is deleted.",
)
declare(playbooks, "enable", "enablePlaybook", "Let it be run again.", said="{playbook_id} is enabled.")
declare(playbooks, "disable", "disablePlaybook", "Let it no longer be run.", said="{playbook_id} is disabled.")
declare(playbooks, "schema", "getPlaybookSchema", "The JSON Schema of a definition, for editors.")
declare(playbooks, "versions", "listPlaybookVersions", "Its versions, the newest first.")
declare(playbooks, "version", "getPlaybookVersion", "One of its versions.")
declare(
    playbooks,
    "restore",
    "restorePlaybookVersion",
    "Make an earlier version the present one; that makes a version, too.",
    asks="Restore version {version} of {playbook_id}?",
)
declare(playbooks, "runs", "listPlaybookRuns", "Its runs, the newest first.")
declare(
    playbooks,
    "diff",
    "comparePlaybookVersions",
    "The differences between two versions, or one and the present.",
    arguments=("from", "to?"),
)


def _run(here: Session, request: Request, given: Any, params: Optional[str], **following: Any) -> int:
    place = {"playbook_id": request.path["playbook_id"]}

    def declared() -> Any:
        return here.call("getPlaybook", place).body["data"].get("parameters") or ()

    body = {**(request.body or {}), "parameters": parameters_of(given, params, declared)}
    return started(here, request._replace(body=body), **following)


def run_command(group: Optional[click.Group]) -> Command:
    """The verb ``run``."""
    return declare(
        group,
        "run",
        "runPlaybook",
        "Run a playbook; with --watch follow it until it ends.",
        members=("target_asset_id", "dry_run"),
        more=[*parameter_options(), *starting_options(), *following_options()],
        act=_run,
    )


run = run_command(playbooks)


def _simulate(here: Session, request: Request, what: str, given: Any, params: Optional[str]) -> None:
    from pathlib import Path

    body = dict(request.body or {})
    is_file = what == "-" or what.endswith((".yaml", ".yml", ".json")) or Path(what).is_file()
    body["definition" if is_file else "playbook_id"] = structure_of(what) if is_file else what
    if given or params:
        body["parameters"] = parameters_of(given, params, lambda: _declared(here, body))
    here.show("simulatePlaybook", request._replace(body=body).call(here).body)


def _declared(here: Session, body: Any) -> Any:
    if "definition" in body:
        return body["definition"].get("parameters") or ()
    return here.call("getPlaybook", {"playbook_id": body["playbook_id"]}).body["data"].get("parameters") or ()


declare(
    playbooks,
    "simulate",
    "simulatePlaybook",
    "What a run would do, of a file or a stored playbook; it stores and calls nothing.",
    members=("target_asset_id", "event", "mocks"),
    more=[click.Argument(["what"], metavar="FILE|ID"), *parameter_options()],
    act=_simulate,
)


def _import(here: Session, request: Request, document: str) -> None:
    here.show("importPlaybook", request._replace(body=structure_of(document)).call(here).body)


declare(
    playbooks,
    "import",
    "importPlaybook",
    "Import a CACAO document, or a definition.",
    more=[click.Argument(["document"], metavar="FILE", type=click.Path(allow_dash=True))],
    act=_import,
)


def _export(here: Session, request: Request, out: Optional[str]) -> None:
    from tocsin.cli.output.formats import as_json, as_yaml

    document = request.call(here).body
    text = document if isinstance(document, str) else as_yaml(document) if here.output == "yaml" else as_json(document)
    if out is None:
        click.echo(text.rstrip("\n"))
        return
    with click.open_file(out, "w", encoding="utf-8") as file:
        file.write(text.rstrip("\n") + "\n")
    here.say(f"Written to {out}.")


declare(
    playbooks,
    "export",
    "exportPlaybook",
    "Its document, as CACAO or as it was defined.",
    more=[click.Option(["--out"], metavar="FILE", help="Write it to this file.")],
    act=_export,
)
