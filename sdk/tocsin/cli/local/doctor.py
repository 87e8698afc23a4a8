"""Finds out what is wrong between here and the server: each check in turn, and what helps."""

from __future__ import annotations

import sys
from datetime import datetime, timezone
from typing import Any, Callable, Dict, List, Optional, Tuple

import click

from tocsin._errors import (
    ApiError,
    CertificateRefused,
    ConfigurationError,
    ConnectionFailed,
    TocsinError,
    Unauthorized,
)
from tocsin.cli.failures import DENIED, UNREACHED, USAGE
from tocsin.cli.session import Session, session
from tocsin.cli.verb import Command

#: seconds by which clocks may differ; webhooks and tokens stand five minutes
_SKEW = 60.0


def _doctor() -> int:
    here = session()
    rows: List[Dict[str, Any]] = []
    code = 0
    for name, check in _CHECKS:
        status, words, failed = _checked(here, check)
        rows.append({"check": name, "status": status, "detail": words})
        code = code or failed
        if failed:
            break  # what follows would say the same once more
    _shown(here, rows)
    return code


def _checked(here: Session, check: Callable[[Session], Tuple[str, str]]) -> Tuple[str, str, int]:
    try:
        status, words = check(here)
    except ConfigurationError as error:
        return "fail", str(error), USAGE
    except Unauthorized as error:
        return "fail", f"{error.detail} tocsin login keeps another key.", DENIED
    except CertificateRefused as error:
        return "fail", f"{error}", UNREACHED
    except ConnectionFailed as error:
        return "fail", f"{error} Does the server run, and is the address right?", UNREACHED
    except TocsinError as error:
        return "fail", str(error), DENIED if getattr(error, "status", 0) in (401, 403) else UNREACHED
    return status, words, 0


def _shown(here: Session, rows: List[Dict[str, Any]]) -> None:
    from tocsin.cli.output.formats import show_list
    from tocsin.cli.output.words import draws, safe

    if here.output != "table":
        show_list(here, rows, "Check")
        return
    marks = {"ok": "✓", "warn": "!", "fail": "✗"} if draws() else {"ok": "+", "warn": "!", "fail": "x"}
    for row in rows:
        click.echo(f"{marks[row['status']]} {row['check']}: {safe(row['detail'])}")


def _versions(_: Session) -> Tuple[str, str]:
    from tocsin._version import VERSION

    return "ok", f"tocsin {VERSION} on Python {'.'.join(map(str, sys.version_info[:3]))}"


def _configuration(here: Session) -> Tuple[str, str]:
    from tocsin._settings import settings

    found = settings(here.url, None, here.profile)
    return ("ok" if found.key else "warn"), f"{found.url} with {f'the key {found.key}' if found.key else 'no key'}"


def _server(here: Session) -> Tuple[str, str]:
    health = _health(here)
    well = health.get("status") in ("ok", "healthy")
    return ("ok" if well else "warn"), f"it answers, and says that it is {health.get('status')}"


def _health(here: Session) -> Dict[str, Any]:
    try:
        found: Any = here.client.with_options(tries=1).request("GET", "/health")
    except ApiError as error:
        if not error.body or error.status != 503:
            raise
        found = error.body
    return dict(found)


def _workers(here: Session) -> Tuple[str, str]:
    workers: Optional[List[Any]] = _health(here).get("workers")
    if workers:
        return "ok", f"{len(workers)} at work"
    return "warn", "none is there: what is accepted waits until one starts"


def _caller(here: Session) -> Tuple[str, str]:
    me = here.call("getMe").body["data"]
    return "ok", f"{me.get('name')}, {me.get('role')}, in {me.get('workspace_id')}"


def _clock(here: Session) -> Tuple[str, str]:
    from tocsin._model import moment

    now = moment(here.call("getServer").body["data"].get("time"))
    if not isinstance(now, datetime):
        return "warn", "the server does not say what time it is"
    apart = abs((datetime.now(timezone.utc) - now).total_seconds())
    return ("ok" if apart < _SKEW else "warn"), f"{apart:.0f} s from the server's"


_CHECKS: Tuple[Tuple[str, Callable[[Session], Tuple[str, str]]], ...] = (
    ("client", _versions),
    ("configuration", _configuration),
    ("server", _server),
    ("workers", _workers),
    ("caller", _caller),
    ("clock", _clock),
)

doctor = Command("doctor", callback=_doctor, help="Find out what is wrong between here and the server.")
