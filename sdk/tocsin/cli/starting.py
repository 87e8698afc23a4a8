"""Starting something, and following it if that is wished."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence

import click

from tocsin.cli.request import Request
from tocsin.cli.session import Session


def starting_options() -> List[click.Parameter]:
    """The option by which what was started is followed."""
    return [click.Option(["-w", "--watch", "watched"], is_flag=True, help="Follow it until it ends.")]


def following_options() -> List[click.Parameter]:
    """The options of following."""
    return [
        click.Option(["--until"], multiple=True, metavar="STATUS", help="Stop at this status, such as paused."),
        click.Option(["--timeout"], type=click.FloatRange(min=0), metavar="SECONDS", help="Follow at most so long."),
    ]


def started(
    here: Session,
    request: Request,
    *,
    watched: bool = False,
    until: Sequence[str] = (),
    timeout: Optional[float] = None,
) -> int:
    """Start it; returns the exit code, that of its end where it is followed."""
    answer: Dict[str, Any] = request.call(here).body
    data = answer.get("data", answer)
    following = watched or bool(until) or timeout is not None
    if following and data.get("execution_id"):
        from tocsin.cli.watching.follow import watch

        return watch(here, data["execution_id"], until=until, timeout=timeout)
    if here.output != "table" or not data.get("execution_id"):
        here.show(request.meaning.operation, answer)
        return 0
    from tocsin.cli.output.words import mark

    click.echo(f"{mark(data.get('status'))} {data['execution_id']} {data.get('status')}")
    here.say(f"  follow: tocsin watch {data['execution_id']}")
    return 0
