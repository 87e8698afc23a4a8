"""``/v1/providers``: the named ways out, how their calls end, and a call that tries one."""

from typing import Any

from flask import Response

from api.gateway import provider_schemas as shapes
from api.gateway.dispatch import routes as dispatch
from api.gateway.dispatch import schemas as dispatch_schemas
from api.gateway.dispatch.outcome_schemas import ACCEPTED, OUTCOME, OUTCOME_AT
from api.http.auth import caller, requires
from api.http.blueprint import Blueprint, answer
from api.http.documented import error_answers
from api.http.idempotency_key import DISPATCH_KEY
from config.errors import InvalidRequest
from gateway import requests
from tasks import tenants
from tasks.definitions import provided
from tasks.generations import provider_views

blueprint = Blueprint("providers", __name__, tag="providers")

#: what makes a test known to rules and in records
NAMESPACE, LABELS = "drills", {"drill": "true"}


@blueprint.get("/v1/providers")
@requires("read:actions")
@blueprint.answers(200, shapes.Providers(), example=shapes.PROVIDERS, words="The providers, by name.")
def list_providers() -> Response:
    """List providers.

    Those that a grant of the caller covers.
    """
    return answer({"providers": provider_views.listed(tenants.of(caller()))})


@blueprint.get("/v1/providers/health")
@requires("read:actions")
@blueprint.answers(200, shapes.Healths(), example=shapes.HEALTH, words="How their calls have ended lately.")
def get_provider_health() -> Response:
    """Get how calls of providers ended.

    From the newest records of the last day: those that the caller's grants cover.
    """
    return answer(provider_views.health(tenants.of(caller())))


@blueprint.post(
    "/v1/providers/<path:provider>/test",
    parameters=[shapes.PROVIDER, dispatch_schemas.PREFER, DISPATCH_KEY, *dispatch_schemas.TRACE],
)
@requires("dispatch")
@blueprint.arguments(shapes.Drill(), example={"payload": {"message": "This is a test."}}, required=False)
@blueprint.answers(
    200,
    OUTCOME,
    example=dispatch_schemas.EXECUTED,
    words="What became of it.",
    fails=(
        404,
        409,
        422,
        *error_answers.OUTWARD,
        "id_in_use",
        "id_reused",
        "changed",
        "invalid_parameters",
        "overloaded",
    ),
    takes_body=True,
)
@blueprint.also(202, OUTCOME, example=ACCEPTED, words="It is accepted and has not ended yet.", headers=OUTCOME_AT)
def test_provider(given: dict[str, Any], provider: str) -> Response:
    """Test a provider.

    A real call, in the namespace drills and with the label drill: a dispatch that rules, circuit breakers and records
    see as any other.
    """
    provided.require(provider)
    tenant = given["tenant"] or caller().workspace_id
    body = {**given, "namespace": NAMESPACE, "tenant": tenant, "provider": provider, "metadata": {"labels": LABELS}}
    drill, problems = requests.read(body)
    if drill is None:
        raise InvalidRequest("The dispatch has faults.", problems=problems)
    return dispatch.sent(drill)
