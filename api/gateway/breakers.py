"""``/admin/circuit-breakers``: the circuit breakers of providers, opened and closed by hand."""

from collections.abc import Callable

from flask import Response

from api.gateway import provider_schemas as shapes
from api.http.auth import caller, requires
from api.http.blueprint import Blueprint, answer
from config.types import Json
from tasks import tenants
from tasks.generations import breakers
from tasks.generations.changes import Author

blueprint = Blueprint("breakers", __name__, tag="providers")


@blueprint.get("/admin/circuit-breakers")
@requires("manage:breakers")
@blueprint.answers(
    200,
    shapes.Breakers(),
    example=shapes.BREAKERS,
    words="The circuit breakers, by provider.",
    fails=(404, "breakers_not_enabled"),
)
def list_breakers() -> Response:
    """List circuit breakers.

    With their state in all processes and their configuration; 404 where no provider has one.
    """
    return answer({"circuit_breakers": breakers.listed()})


@blueprint.post("/admin/circuit-breakers/<path:provider>/trip", parameters=[shapes.PROVIDER])
@requires("manage:breakers")
@blueprint.answers(
    200,
    shapes.Turned(),
    example=shapes.TRIPPED,
    words="Every process obeys.",
    fails=(404, "breakers_not_enabled", "provider_not_found"),
)
def trip_breaker(provider: str) -> Response:
    """Open a circuit breaker.

    Nothing goes out by the provider any more, in no process, until its recovery time has passed and a probe succeeds.
    The answer comes when every process obeys, at most a second later. It needs a grant over all tenants.
    """
    return _turned(breakers.trip, provider)


@blueprint.post("/admin/circuit-breakers/<path:provider>/reset", parameters=[shapes.PROVIDER])
@requires("manage:breakers")
@blueprint.answers(
    200,
    shapes.Turned(),
    example=shapes.RESET,
    words="Every process obeys.",
    fails=(404, "breakers_not_enabled", "provider_not_found"),
)
def reset_breaker(provider: str) -> Response:
    """Close a circuit breaker.

    It forgets its failures. The answer comes when every process obeys, at most a second later. It needs a grant over
    all tenants.
    """
    return _turned(breakers.reset, provider)


def _turned(turn: Callable[[str, Author], Json], provider: str) -> Response:
    tenants.require_whole(caller())
    return answer(turn(provider, Author(caller().key_id, caller().workspace_id)))
