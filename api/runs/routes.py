"""``/api/playbooks/{id}/run`` and ``/api/playbooks/executions``: starting and reading runs.

Starting a run is on the hot path of the API: what it answers is read off the plan, which this process remembers.
"""

import functools
from collections.abc import Mapping
from typing import Any

from flask import Response, g

from api.http import examples as http_examples
from api.http import pages
from api.http import schemas as http_schemas
from api.http.auth import caller, requires
from api.http.blueprint import LOCATION, Blueprint, written
from api.http.conditional import entity_tags, preconditions
from api.http.conditional.documented import ETAG, IF_NONE_MATCH, UNCHANGED
from api.http.conditional.preconditions import Seen
from api.http.current_request import present
from api.http.documented import error_answers
from api.http.idempotency_key import KEY_HEADER, idempotency_key
from api.http.load import HERE, LISTS
from api.runs import examples as shown
from api.runs import queries, views
from api.runs import schemas as shapes
from playbooks.states import Mode, Status
from store.access import Caller
from store.callers import actors
from store.callers.actors import Actor
from store.definitions import playbooks
from store.engine import db
from store.engine.db import Connection, Row
from store.executions import transitions
from store.executions.lists import pauses, run_listing
from store.paging import Found, Part
from tasks.control import cancel, pause, reach, retry
from tasks.intake.run_start import request_of, start

blueprint = Blueprint("runs", __name__, tag="playbook executions")

_PAGE = http_schemas.page_of(shapes.RunItem)
_PAGE_EXAMPLE = {"data": [shown.ITEM], "meta": http_examples.META}
_ENVELOPE = queries.EnvelopeQuery()
_PAGE_WORDS = "One page of playbook executions, newest first."


def _declared(playbook_id: str) -> tuple[str, list[str]]:
    with db.read() as connection:
        playbook = playbooks.get(connection, caller().workspace_id, playbook_id)
    return "playbook", [one["name"] for one in playbook.revision.definition["parameters"]]


@blueprint.post("/playbooks/<id:playbook_id>/run", parameters=[KEY_HEADER], tags=["playbooks"])
@requires("execute:playbooks")
@blueprint.arguments(_ENVELOPE, location="query")
@blueprint.arguments(shapes.RunRequest(), example=shown.RUN, required=False, declared=_declared)
@blueprint.answers(
    202,
    shapes.AcceptedRunAnswer(),
    example=shown.dual_envelope(shown.ACCEPTED),
    words="Accepted: it will be carried out, whatever breaks. Location says where to follow it.",
    headers=LOCATION,
    fails=(
        404,
        409,
        422,
        *error_answers.OUTWARD,
        "target_required",
        "already_running",
        "playbook_disabled",
        "too_deep",
        "changed",
        "idempotency_key_reused",
        "invalid_parameters",
        "overloaded",
    ),
    takes_body=True,
)
def run_playbook(query: dict[str, Any], given: dict[str, Any], playbook_id: str) -> Response:
    """Run a playbook.

    Answers as soon as the run is recorded; workers perform it with the current version of the playbook. A playbook
    runs once at a time for the same asset; dry runs do not count.
    """
    with LISTS.waiting():
        started = start(
            request_of(
                caller(),
                playbook_id,
                parameters=given["parameters"],
                target=given["target_asset_id"],
                mode=Mode.DRY_RUN if given["dry_run"] else Mode.LIVE,
                idempotency_key=idempotency_key(),
                request_id=g.request_id,
                unless_urgent=HERE.refuse,
            )
        )
    headers = _location(started.run_id)
    if started.replayed:
        headers["Idempotency-Replayed"] = "true"
    return views.answer_run(views.accepted(started.row or _read(started.run_id)._asdict()), query, 202, headers)


@blueprint.get("/playbooks/executions")
@requires("read:playbooks")
@blueprint.arguments(queries.RunQuery(), location="query")
@blueprint.answers(200, _PAGE, example=_PAGE_EXAMPLE, headers=pages.LINK, words=_PAGE_WORDS)
def list_runs(query: dict[str, Any]) -> Response:
    """List runs of all playbooks.

    Newest first. A run is listed if it matches all filters. The list leaves out steps: get the run to see them.
    """
    return _listed(query)


@blueprint.get("/playbooks/<id:playbook_id>/executions")
@requires("read:playbooks")
@blueprint.arguments(queries.OfPlaybookQuery(), location="query")
@blueprint.answers(200, _PAGE, example=_PAGE_EXAMPLE, headers=pages.LINK, words=_PAGE_WORDS, fails=(404,))
def list_playbook_runs(query: dict[str, Any], playbook_id: str) -> Response:
    """List runs of a playbook.

    Newest first. A run is listed if it matches all filters.
    """
    with db.read() as connection:
        playbooks.get(connection, caller().workspace_id, playbook_id)
    return _listed({**query, "playbook_id": playbook_id})


@blueprint.get("/playbooks/executions/<id:run_id>", parameters=[IF_NONE_MATCH])
@requires("read:playbooks")
@blueprint.arguments(queries.RunReadQuery(), location="query")
@blueprint.answers(
    200,
    shapes.RunAnswer(),
    example=shown.dual_envelope(shown.COMPLETED),
    words="The playbook execution.",
    headers=ETAG,
    fails=(404, 412),
)
@UNCHANGED
def get_run(query: dict[str, Any], run_id: str) -> Response:
    """Get a run.

    With one item for each step of the playbook. With wait, the answer comes when the status of the run or of a step
    changes, at the latest after that many seconds. With If-None-Match too, it comes at once if the run is another than
    the reader knows, and is 304 if it stays so.
    """
    seen = functools.partial(_seen, run_id, query)

    def make(members: str, headers: dict[str, str]) -> Response:
        return views.answer_written(members, query, headers=headers)

    return preconditions.when_new(run_id, seen, query["wait"], make)


@blueprint.post("/playbooks/executions/<id:run_id>/cancel")
@requires("execute:playbooks")
@blueprint.arguments(_ENVELOPE, location="query")
@blueprint.answers(
    200,
    shapes.RunAnswer(),
    example=shown.dual_envelope(shown.CANCELLED),
    words="It is cancelled.",
    fails=(404, 409, "already_ended"),
)
def cancel_run(query: dict[str, Any], run_id: str) -> Response:
    """Cancel a run.

    No step of it, or of a run that it started, begins after the answer. A call under way is abandoned within seconds.
    Completed steps stay completed and are not rolled back.
    """
    return _shown(cancel.cancel_run(_acting(run_id), run_id), query)


@blueprint.post("/playbooks/executions/<id:run_id>/pause")
@requires("execute:playbooks")
@blueprint.arguments(_ENVELOPE, location="query")
@blueprint.answers(
    200,
    shapes.RunAnswer(),
    example=shown.dual_envelope(shown.PAUSED),
    words="It is paused.",
    fails=(404, 409, "not_running", "already_ended"),
)
def pause_run(query: dict[str, Any], run_id: str) -> Response:
    """Pause a run.

    No further step begins until it is resumed. Steps under way continue to their end; delays and the time limit of the
    run keep counting.
    """
    return _shown(pause.pause(_acting(run_id), run_id), query)


@blueprint.post("/playbooks/executions/<id:run_id>/resume")
@requires("execute:playbooks")
@blueprint.arguments(_ENVELOPE, location="query")
@blueprint.answers(
    200,
    shapes.RunAnswer(),
    example=shown.dual_envelope(shown.RESUMED),
    words="It goes on.",
    fails=(404, 409, "not_paused", "already_ended"),
)
def resume_run(query: dict[str, Any], run_id: str) -> Response:
    """Resume a paused run.

    A run that waits for an approval or a delay is not resumed by this; it continues when that ends.
    """
    return _shown(pause.resume(_acting(run_id), run_id), query)


@blueprint.post("/playbooks/executions/<id:run_id>/retry", parameters=[KEY_HEADER])
@requires("execute:playbooks")
@blueprint.arguments(_ENVELOPE, location="query")
@blueprint.arguments(shapes.RetryRequest(), example=shown.RETRY, required=False)
@blueprint.answers(
    202,
    shapes.AcceptedRunAnswer(),
    example=shown.dual_envelope(shown.RETRIED),
    words="Accepted: a further run. Location says where to follow it.",
    headers=LOCATION,
    fails=(
        404,
        409,
        422,
        *error_answers.OUTWARD,
        "not_ended",
        "nothing_failed",
        "secret_needed",
        "already_running",
        "playbook_disabled",
        "changed",
        "invalid_parameters",
        "overloaded",
    ),
    takes_body=True,
)
def retry_run(query: dict[str, Any], given: dict[str, Any], run_id: str) -> Response:
    """Retry a finished run.

    Starts a new run with the same parameters and the same versions of the playbook and its actions. By default it
    takes over the completed steps and continues where the old run failed. Secrets that are no longer kept, or would be
    sent elsewhere than before, must be given again: 409 secret_needed names them.
    """
    with LISTS.waiting():
        started = retry.retry(
            _acting(run_id),
            run_id,
            completed_stay=given["start"] == "failed",
            present=given["revisions"] == "present",
            given=given["parameters"],
            idempotency_key=idempotency_key(),
        )
    row = _read(started.run_id)
    members = {**views.accepted(row._asdict()), "retry_of": run_id, "steps": views.run_detail(row)["steps"]}
    return views.answer_run(members, query, 202, _location(started.run_id))


def _read(run_id: str) -> Row:
    with db.read() as connection:
        return reach.run(connection, caller(), run_id)


def _acting(run_id: str) -> Caller:
    """The caller, for what it does with a run that it reaches."""
    return reach.acting(caller(), _read(run_id))


def _seen(run_id: str, query: Mapping[str, Any]) -> Seen:
    """What is shown of a run; the state that is watched is read first, so that no change after it is missed."""
    with db.read() as connection:
        row = reach.run(connection, caller(), run_id)
        state = transitions.states(connection, [run_id])[run_id] if query["wait"] else ("", 0)
    members = views.run_detail(row, outputs=query["outputs"])
    return Seen(written(members), state, members["status"] in transitions.TERMINAL)


def _shown(row: Row, query: Mapping[str, Any]) -> Response:
    members = written(views.run_detail(row))
    return views.answer_written(members, query, headers={"ETag": f'"{entity_tags.of(members)}"'})


def _listed(query: dict[str, Any]) -> Response:
    filters = {**query, **pages.period(query), "target": query.get("target_asset_id")}
    part = pages.part(query)
    if reach.is_limited(caller()):
        part = part._replace(counted=False)  # a total would count what the caller does not reach
    found, who = pages.read(_found, caller(), filters, part)
    paused = [row.id for row in found.rows if row.status == Status.PAUSED]
    why = pages.read(pauses.paused_by, paused) if paused else {}
    return pages.page([views.item(row, why.get(row.id), who) for row in found.rows], found, query)


def _found(
    connection: Connection, asking: Caller, filters: Mapping[str, Any], part: Part
) -> tuple[Found, dict[str, Actor]]:
    """A part of the list, and who has started the runs in it."""
    found = run_listing.search(connection, asking.workspace_id, filters=filters, part=part)
    found = found._replace(rows=reach.reached_runs(connection, asking, found.rows))
    return found, actors.named(connection, [row.created_by for row in found.rows])


def _location(run_id: str) -> dict[str, str]:
    prefix = present().path.partition("/playbooks/")[0]
    return {"Location": f"{prefix}/playbooks/executions/{run_id}"}
