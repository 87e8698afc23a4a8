"""``/v1/rules/simulate`` and ``/v1/rules/coverage``.

Both read what was recorded aside, in bites, and decide it again in memory; between two bites other requests get their
turn. Nothing is written.
"""

from typing import Any

from flask import Response

from api.http import pages
from api.http.auth import caller, requires
from api.http.blueprint import Blueprint, answer
from api.http.load import HERE
from api.simulation import examples, schemas, views
from store.engine import db, rest
from tasks import tenants
from tasks.generations import follow
from tasks.simulation import simulate
from tasks.simulation.simulate import Asked, Simulated

blueprint = Blueprint("simulation", __name__, tag="rules")

#: the first moment that can be written, ms
_FIRST = -62_135_596_800_000


@blueprint.post("/v1/rules/simulate")
@requires("read:actions", "read:audit")
@blueprint.arguments(schemas.SimulationWanted(), example=examples.WANTED, required=False)
@blueprint.answers(
    200, schemas.Simulation(), example=examples.SIMULATED, words="What would have been decided.", takes_body=True
)
def simulate_rules(given: dict[str, Any]) -> Response:
    """Simulate rules.

    Recorded dispatches and triggers are decided again, by the rules in force or by others, as they came: with the time,
    the labels and the payload of then. What rules remember, count and move is played in memory; nothing is executed,
    counted or recorded. The rules are a whole set or changes of the one in force; faults are those of a load. A
    simulation ends after 20 seconds with what it has. One at a time is made in a process.
    """
    asked = _asked(given, rules=given["rules"])
    return answer(views.simulation(asked, _simulated(asked)))


@blueprint.get("/v1/rules/coverage")
@requires("read:actions", "read:audit")
@blueprint.arguments(schemas.CoveragePeriod(), location="query")
@blueprint.answers(200, schemas.Coverage(), example=examples.COVERED, words="What the rules concern.")
def get_coverage(query: dict[str, Any]) -> Response:
    """Get rule coverage.

    Each combination of namespace, tenant, provider and action type that came in the period, with how many of them a
    rule in force concerns: its condition holds. And the enabled rules that nothing of the period matches.
    """
    asked = _asked(query)
    return answer(views.coverage(asked, _simulated(asked), asked.grants))


def _asked(given: dict[str, Any], rules: Any = None) -> Asked:
    """What a request wants; the period ends now unless it says otherwise.

    Raises:
        Forbidden: the tenant is beyond the grants.
    """
    if "tenant" in given:
        tenants.require_named(caller(), given["tenant"])
    period, now = pages.period(given), db.now_ms()
    until = period.get("until", max(now, period.get("since", now)) + 1)  # with what is recorded at this moment
    back = int(schemas.since_hours(given).total_seconds() * 1000)
    return Asked(
        grants=tenants.of(caller()),
        since=period.get("since", max(_FIRST, until - back)),
        until=until,
        limit=given["limit"],
        tenant=given.get("tenant"),
        namespace=given.get("namespace"),
        rules=rules,
    )


def _simulated(asked: Asked) -> Simulated:
    follow.look()
    return simulate.simulate(asked, pages.read, _pause)


def _pause(began: float) -> None:
    with HERE.aside():
        rest.after_bite(began)
