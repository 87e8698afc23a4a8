"""The server itself, its stream, and the caller."""

from __future__ import annotations

from itertools import islice
from typing import Any, Dict, Optional

import click

from tocsin.cli.request import Request
from tocsin.cli.root import noun
from tocsin.cli.session import Session
from tocsin.cli.verb import declare

server, stream = noun("server"), noun("stream")

declare(server, "get", "getServer", "Its version, what is switched on, its limits and its time.")
declare(server, "health", "getHealth", "Whether all is well, and what is not.")


def _metrics(here: Session, request: Request, prometheus: bool) -> None:
    if prometheus:
        click.echo(str(here.call("getPrometheusMetrics").body).rstrip("\n"))
    else:
        request.shown(here)


_PROMETHEUS = click.Option(["--prometheus"], is_flag=True, help="As Prometheus reads them.")
declare(server, "metrics", "getMetrics", "The numbers of the gateway.", more=[_PROMETHEUS], act=_metrics).carries += (
    "getPrometheusMetrics",
)
whoami = declare(None, "whoami", "getMe", "The caller with its role and permissions.")


def _tail(here: Session, request: Request, last_id: str, count: Optional[int]) -> None:
    """Write each message as it comes."""
    from tocsin.cli.output.formats import as_json

    for message in islice(here.client.stream.follow(**request.query, last_id=last_id), count):
        one = message.to_dict()
        click.echo(_line(one) if here.output == "table" else as_json(one, indent=None))


def _line(one: Dict[str, Any]) -> str:
    from tocsin.cli.output.words import mark, one_line, when

    status = one.get("status")
    parts = [when(one["timestamp"])[-8:] if one.get("timestamp") else "", str(one.get("type"))]
    about = one.get("run_id") or one.get("execution_id") or one.get("action_id") or one.get("fingerprint") or ""
    parts += [str(about), str(one.get("step") or ""), f"{mark(status)} {status}" if status else ""]
    outcome = one.get("outcome")
    parts.append(str(outcome.get("outcome") or "") if isinstance(outcome, dict) else str(outcome or ""))
    if one.get("type") == "lagged":
        parts.append(f"{one.get('skipped')} were missed")
    return "  ".join(one_line(part) for part in parts if part)


declare(
    stream,
    "tail",
    "followEvents",
    "Each message as it comes, until Ctrl-C.",
    more=[
        click.Option(["--last-id"], default="", metavar="ID", help="Begin behind this message."),
        click.Option(["-n", "--count"], type=click.IntRange(min=1), help="The number of messages after which it ends."),
    ],
    act=_tail,
)
