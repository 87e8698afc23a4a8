"""``/admin/stop``: nothing of a tenant, or of any, goes out until the stop is lifted."""

import contextlib
from typing import Any

from flask import Response

from api.gateway import examples, schemas
from api.http.auth import caller, requires
from api.http.blueprint import Blueprint, answer
from config.errors import NotFound, Unavailable
from tasks import tenants
from tasks.generations import changes, follow, unknown
from tasks.generations.changes import Author

blueprint = Blueprint("stops", __name__, tag="stop")

_STOP = schemas.Stop()


def _author() -> Author:
    return Author(caller().key_id, caller().workspace_id)


@blueprint.post("/admin/stop")
@requires("manage:breakers")
@blueprint.arguments(_STOP, example=examples.STOP)
@blueprint.answers(200, schemas.Stopped(), example=examples.STOPPED, words="Every process obeys.", takes_body=True)
def stop_outward_calls(given: dict[str, Any]) -> Response:
    """Stop a tenant, or all.

    Nothing of it goes out any more, retries included, until the stop is lifted; a second stop of the same tenant
    replaces the reason. The answer comes when every process obeys, at most a second later. It needs a grant over the
    tenant as a whole.
    """
    tenants.require_whole(caller(), (given["tenant"],))
    tenants.require_pattern(given["tenant"])
    shown = changes.stop(given["tenant"], given["reason"], _author())
    members = {"tenant": given["tenant"], "stopped": True, "reason": given["reason"], "applied": shown}
    with contextlib.suppress(Unavailable):  # it is stopped, whatever becomes of the database now
        if note := unknown.tenant(caller(), given["tenant"]):
            members["note"] = note
    return answer(members)


@blueprint.delete("/admin/stop")
@requires("manage:breakers")
@blueprint.arguments(schemas.LiftedStop(), location="query")
@blueprint.answers(
    200, schemas.Stopped(), example=examples.LIFTED, words="It goes out again in every process.", fails=(404,)
)
def lift_stop(query: dict[str, Any]) -> Response:
    """Lift a stop.

    Of the tenant named, or the stop of all tenants. It needs a grant over the tenant as a whole.
    """
    tenants.require_whole(caller(), (query["tenant"],))
    try:
        shown = changes.lift(query["tenant"], _author())
    except NotFound as error:
        follow.look()
        raise NotFound(f"{error}{unknown.stopped(caller())}") from None
    return answer({"tenant": query["tenant"], "stopped": False, "applied": shown})
