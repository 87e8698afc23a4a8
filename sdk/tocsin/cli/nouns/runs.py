"""Runs of playbooks: follow, steer and compare them."""

from __future__ import annotations

from typing import Any, Optional, Sequence

import click

from tocsin.cli.request import Request
from tocsin.cli.root import noun
from tocsin.cli.session import Session, session
from tocsin.cli.starting import following_options, started, starting_options
from tocsin.cli.suggestions import complete
from tocsin.cli.values import parameter_options, parameters_of
from tocsin.cli.verb import Command, declare

runs = noun("runs")


def watch_command(group: Optional[click.Group], place: str, listing: str) -> Command:
    """The verb ``watch``; without an id it follows the newest."""

    def watching(id: Optional[str], until: Sequence[str], timeout: Optional[float]) -> int:  # noqa: A002
        from tocsin.cli.watching.follow import watch as follow

        here = session()
        return follow(here, id or _newest(here, listing), until=until, timeout=timeout)

    made = Command(
        "watch",
        params=[
            click.Argument(["id"], required=False, metavar="[ID]", shell_complete=complete(place)),
            *following_options(),
        ],
        callback=watching,
        help="Follow it until it ends; without an id the newest one.",
        carries=["followRun"],
    )
    if group is not None:
        group.add_command(made)
    return made


def _newest(here: Session, listing: str) -> str:
    found = here.items(listing, {}, {}).first()
    if found is None:
        raise click.UsageError("There is nothing to watch yet.", click.get_current_context())
    return str(found["execution_id"])


declare(runs, "list", "listRuns", "The runs, the newest first.")
declare(runs, "get", "getRun", "One run with its steps.")
watch = watch_command(runs, "run_id", "listRuns")
declare(runs, "steps", "listRunSteps", "Its steps, each iteration by itself.")
declare(runs, "logs", "listRunLogs", "The log lines of all its steps, in order of time.")
declare(runs, "timeline", "getRunTimeline", "When each step was waited for and ran.")
declare(
    runs,
    "diff",
    "comparePlaybookExecutions",
    "The differences from another run of the same playbook.",
    arguments=("against",),
)
declare(
    runs,
    "cancel",
    "cancelRun",
    "Cancel it: no later step starts.",
    asks="Cancel {run_id}?",
    said="{run_id} is cancelled.",
)
declare(runs, "pause", "pauseRun", "Pause it before its next step.", said="{run_id} is paused.")
declare(runs, "resume", "resumeRun", "Let it go on.", said="{run_id} goes on.")


def _retry(
    here: Session, request: Request, given: Any, params: Optional[str], begin: Optional[str], **more: Any
) -> int:
    wanted = parameters_of(given, params, lambda: ()) if given or params else None
    body = {"parameters": wanted, "from": begin, **(request.body or {})}
    return started(here, request._replace(body={name: one for name, one in body.items() if one is not None}), **more)


declare(
    runs,
    "retry",
    "retryRun",
    "Run it again from what failed, or from the start.",
    members=("revisions",),
    more=[
        *parameter_options(),
        click.Option(["--from", "begin"], metavar="failed|start", help="Where to begin."),
        *starting_options(),
        *following_options(),
    ],
    act=_retry,
)
for _verb, _operation, _done in (("approve", "approveStep", "approved"), ("reject", "rejectStep", "rejected")):
    declare(
        runs,
        _verb,
        _operation,
        f"{_verb.title()} what a step waits for.",
        members=("note", "iteration"),
        said="{step_id} of {run_id} is " + _done + ".",
    )
