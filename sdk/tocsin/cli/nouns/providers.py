"""Providers with their circuit breakers, and the stop of all that goes out."""

from __future__ import annotations

import click

from tocsin.cli.request import Request
from tocsin.cli.root import noun
from tocsin.cli.session import Session
from tocsin.cli.suggestions import complete
from tocsin.cli.verb import declare

providers, breakers, stop = noun("providers"), noun("breakers"), noun("stop")


def _get(here: Session, _: Request, name: str) -> None:
    """One of the providers; the server has no operation for it."""
    from tocsin.cli.failures import MISSING, Failure
    from tocsin.cli.output.formats import show_one

    found = {one["name"]: one.to_dict() for one in here.items("listProviders", {}, {})}
    if name not in found:
        raise Failure(
            f"There is no provider {name}; there are {', '.join(sorted(found)) or 'none'}.", MISSING, "not_found"
        )
    show_one(here, found[name], "Provider")


declare(providers, "list", "listProviders", "The providers.")
declare(
    providers,
    "get",
    "listProviders",
    "One provider.",
    act=_get,
    more=[click.Argument(["name"], metavar="PROVIDER", shell_complete=complete("provider"))],
)
declare(providers, "health", "getProviderHealth", "How each has answered lately.")
declare(
    providers,
    "test",
    "testProvider",
    "Send a test by it, past the rules.",
    members=("tenant", "action_type", "payload"),
)

declare(breakers, "list", "listBreakers", "The circuit breakers with their states.")
declare(
    breakers,
    "trip",
    "tripBreaker",
    "Open it: nothing goes out by this provider.",
    asks="Let nothing go out by {provider}?",
)
declare(breakers, "reset", "resetBreaker", "Close it: calls go out again.")

declare(
    stop,
    "set",
    "stopOutwardCalls",
    "Let nothing go out, of a tenant or of all.",
    arguments=("reason",),
    members=("tenant",),
    asks="Let nothing go out any longer?",
)
declare(stop, "lift", "liftStop", "Let things go out again.", asks="Let things go out again?")
