"""``tocsin actions test`` and ``schema FILE``: a function on the author's machine, without a server."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Optional, Sequence

import click

from tocsin.cli.failures import ENDED_OTHERWISE, INVALID, Failure
from tocsin.cli.session import session
from tocsin.cli.verb import Command

if TYPE_CHECKING:
    from tocsin.actions.trying import Trial

_FILE = click.Path(path_type=Path)


def _test(
    where: str,
    given: Sequence[str],
    live: bool,
    record: Optional[Path],
    replay: Optional[Path],
    sandbox: bool,
    target: str,
) -> int:
    from tocsin.actions import trying

    if sum(map(bool, (live, record, replay))) > 1:
        raise click.UsageError("Give one of --live, --record and --replay.", click.get_current_context())
    try:
        subject = trying.find(where)
        trial = trying.attempt(
            subject,
            trying.values_of(subject.handler, list(given)),
            is_live=live,
            record=record,
            replay=replay,
            sandbox=sandbox,
            target=target,
            secrets=_secrets(),
        )
    except (trying.Unusable, ValueError, OSError) as error:
        raise Failure(str(error), INVALID) from None
    return _shown(trial)


def _secrets() -> Dict[str, str]:
    """Values of a bundle's secrets are given in the environment, where no list of processes shows them."""
    prefix = "TOCSIN_SECRET_"
    return {name[len(prefix) :]: value for name, value in os.environ.items() if name.startswith(prefix)}


def _shown(trial: Trial) -> int:
    from tocsin.cli.output.formats import show_one

    here = session()
    for level, line in trial.log:
        here.say(f"{level:7} {line}")
    for call in trial.calls:
        here.say(f"call    {call.get('method')} {call.get('url')}")
    if trial.error is not None:
        raise Failure(f"{trial.action} failed: {trial.error}", ENDED_OTHERWISE, getattr(trial.error, "code", "failed"))
    show_one(here, trial.output)
    here.say(f"{trial.action} completed in {trial.seconds:.2f} s")
    return 0


test = Command(
    "test",
    params=[
        click.Argument(["where"], metavar="FILE[::NAME]"),
        click.Option(["-p", "--parameter", "given"], multiple=True, metavar="NAME=VALUE", help="A parameter."),
        click.Option(["--live"], is_flag=True, help="Make its calls."),
        click.Option(["--record"], metavar="FILE", type=_FILE, help="Make its calls, and write them to a file."),
        click.Option(["--replay"], metavar="FILE", type=_FILE, help="Answer its calls from a file."),
        click.Option(["--sandbox"], is_flag=True, help="Run it in bubblewrap, as workers do."),
        click.Option(["--target"], default="", metavar="ASSET", help="The asset it works on."),
    ],
    callback=_test,
    help="Call a function of a file as a worker does, without a server. Secrets are read of TOCSIN_SECRET_NAME.",
)


def of_file(path: Path) -> Any:
    """What the catalogue learns of the functions of a file."""
    from tocsin.actions import trying

    try:
        return trying.schema(path)
    except (trying.Unusable, OSError) as error:
        raise Failure(str(error), INVALID) from None
