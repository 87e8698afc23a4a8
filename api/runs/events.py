"""``/api/playbooks/executions/{id}/events``: a run as it goes."""

import functools

from flask import Response

from api.http.auth import caller, requires
from api.http.blueprint import Blueprint
from api.stream import missed, opening, reading, types
from api.stream import schemas as shapes
from api.stream.message import Wanted
from api.stream.opening import Asked
from api.stream.reading import Start
from gateway.grants import Grant
from store.engine import db
from store.executions.transitions import TERMINAL
from store.streams import of_run
from store.trail import Position
from tasks.control import reach

blueprint = Blueprint("run_events", __name__, tag="playbook executions")


@blueprint.get("/playbooks/executions/<id:run_id>/events", parameters=[opening.LAST_EVENT_ID])
@requires("read:playbooks")
@blueprint.answers(
    200,
    shapes.StreamEvent(),
    content_type=opening.CONTENT_TYPE,
    example=shapes.OF_RUN,
    words="Server-sent events, until the run has ended. The data of each is a JSON object.",
    fails=(404,),
)
def follow_run(run_id: str) -> Response:
    """Follow a run.

    First what has happened in the run so far, then what happens: run_changed and step_changed with the new status,
    action_dispatched, approval_required and approval_voted. The answer ends when the run has ended. A client that
    reconnects with Last-Event-ID is sent what it has missed; 204 where the run has ended and that is nothing.
    """
    with db.read() as connection:
        run = reach.run(connection, caller(), run_id)
    mark = opening.named()
    wanted = Wanted(types=frozenset(types.OF_RUN), grants=(Grant(),), run_id=run_id)
    start = Start(Position()) if mark is None else reading.start(mark, None)
    last = functools.partial(_last, run.workspace_id, run_id)
    end = last() if run.status in TERMINAL else None
    if mark is not None and end is not None and missed.is_nothing_of_run(run.workspace_id, run_id, start, wanted):
        return Response(status=204)
    return opening.opened(
        Asked(
            wanted=wanted,
            start=lambda: start,
            missed=functools.partial(missed.of_run, run.workspace_id, run_id),
            end=end,
            last=last,
        )
    )


def _last(workspace_id: str, run_id: str) -> Position:
    """The place of the last row of a run, settled or not."""
    return db.read_aside(of_run.last, workspace_id, run_id)
