"""``/v1/audit/verify``, ``key``, ``export``, ``{id}/proof``: what the sealed trail proves, and its records."""

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from flask import Response

from api.gateway import record_views as views
from api.gateway import trail_schemas as shapes
from api.http import pages
from api.http.auth import caller, requires
from api.http.blueprint import Blueprint, answer, written
from api.http.current_request import present
from api.http.times import stamp
from config.errors import NotFound, NotSealed
from store.blocks import proofs, signing
from store.blocks.findings import Fault, Progress
from store.engine.db import Connection
from store.paging import Found, Part
from store.records import listing as records
from store.sealing import cursors
from tasks import tenants
from tasks.clock.trail import verification
from tasks.clock.trail.verification import Asked, Verified

blueprint = Blueprint("trail", __name__, tag="audit")

_ID = {
    "in": "path",
    "name": "record_id",
    "description": "The id of a record, or an action id, for its newest record.",
    "example": "48229",
}
#: the quickest level: records are alike
_LEVEL = 1
_LINES = "application/x-ndjson"


@blueprint.get("/audit/verify")
@requires("read:audit")
@blueprint.arguments(shapes.Verify(), location="query")
@blueprint.answers(200, shapes.Verified(), example=shapes.VERIFIED, words="What was found.")
def verify_records(query: dict[str, Any]) -> Response:
    """Verify the audit trail.

    Each row is compared with its seal, each seal with its signature and the seal before it. A key of some tenants has
    the rows of those counted; whether all is valid concerns the whole trail. Checking takes about a second for each
    50,000 records, and is done in slices; a request that has not come to the end within 20 seconds answers with
    complete false, and next_cursor goes on.
    """
    return _verified(query)


@blueprint.post("/audit/verify")
@requires("read:audit")
@blueprint.arguments(shapes.Verify(), example={"tenant": "default"}, required=False)
@blueprint.answers(200, shapes.Verified(), example=shapes.VERIFIED, words="What was found.", takes_body=True)
def verify_trail(given: dict[str, Any]) -> Response:
    """Verify the audit trail by a body.

    As the GET of this path; the body may be left out.
    """
    return _verified(given)


@blueprint.get("/audit/key")
@requires("read:audit")
@blueprint.answers(200, shapes.SealKeys(), example=shapes.KEYS, words="The public keys.")
def list_seal_keys() -> Response:
    """List the public keys of seals.

    One for each secret key of the installation. Keep them elsewhere: a seal that they verify was made here.
    """
    keys = [
        {"key_id": name, "algorithm": "Ed25519", "public_key": signing.public(name), "signs": number == 0}
        for number, name in enumerate(signing.names())
    ]
    return answer({"keys": keys})


@blueprint.get("/audit/export")
@requires("read:audit")
@blueprint.arguments(shapes.ExportQuery(), location="query")
@blueprint.answers(
    200,
    {"type": "string"},
    content_type=_LINES,
    example=shapes.LINES,
    words="Records as JSON, one a line, newest first; the header Next-Cursor is there when more follow.",
    headers={"Next-Cursor": {"description": "What to send as cursor.", "schema": {"type": "string"}}},
)
def export_records(query: dict[str, Any]) -> Response:
    """Export audit records.

    The records of the list, with the same filters, as JSON lines; compressed where the request accepts gzip. Read on
    with the header Next-Cursor until it is missing.
    """
    if "tenant" in query:
        tenants.require_named(caller(), query["tenant"])
    name = pages.named("audit", query)
    part = pages.part_after(query, name)
    found = pages.read(_found, tenants.of(caller()), {**query, **pages.period(query)}, part)
    body = "".join(f"{written(views.record(row, whole=False))}\n" for row in found.rows).encode()
    headers = {"Vary": "Accept-Encoding"}
    if goes_on := pages.next_cursor(found, name):
        headers["Next-Cursor"] = goes_on
    if present().accept_encodings.quality("gzip"):
        body, headers["Content-Encoding"] = gzip.compress(body, _LEVEL), "gzip"
    return Response(body, 200, headers, content_type=_LINES)


@blueprint.get("/audit/<slashed:record_id>/proof", parameters=[_ID])
@requires("read:audit")
@blueprint.answers(
    200, shapes.Proof(), example=shapes.PROOF, words="Enough to check the record alone.", fails=(404, 409, "not_sealed")
)
def get_proof(record_id: str) -> Response:
    """Get the proof of an audit record.

    The row as it was sealed, the nodes that lead from it to the root of its block, and the signed seal: enough to check
    this record without any other. 409 while it waits for its seal, two seconds at most as a rule.
    """
    row = pages.read(_row, tenants.of(caller()), record_id)
    if row is None:
        raise NotFound(f"There is no record of {record_id!r}.")
    proof = pages.read(proofs.prove, row)
    if proof is None:
        raise NotSealed
    shown: dict[str, Any] = {
        "record_id": str(row.id),
        "row": proof.row,
        "place": proof.place,
        "path": [{"side": side, "hash": node.hex()} for side, node in proof.path],
        "seal": proof.seal.members(),
        "hash": proof.hash,
        "signature": proof.signature,
        "public_key": signing.public(proof.seal.key_id),
    }
    return answer(shown)


def _verified(given: Mapping[str, Any]) -> Response:
    if "tenant" in given:
        tenants.require_named(caller(), given["tenant"])
    name = pages.named("verify", given)
    number, _, wanted = given.get("anchor", "").partition(":")
    asked = Asked(
        grants=tenants.of(caller()),
        tenant=given.get("tenant"),
        namespace=given.get("namespace"),
        **pages.period(given),
        done=_position(given, name),
        anchor=(int(number), wanted) if wanted else None,
    )
    return answer(_shown(asked, verification.verify(asked, pages.read), name))


def _position(given: Mapping[str, Any], name: str) -> Progress | None:
    """What the cursor says; it is signed, and belongs to this question."""
    if "cursor" not in given:
        return None
    pointer = "/query/cursor" if present().method == "GET" else "/cursor"
    return Progress.of(json.loads(pages.position(given["cursor"], name, pointer=pointer)[0]))


def _shown(asked: Asked, found: Verified, name: str) -> dict[str, Any]:
    done, newest = found.done, found.newest
    faults = [{"kind": one.kind, "seal": one.seal, "record_id": _record_id(asked, one)} for one in done.faults]
    seal = newest and {"number": newest.number, "hash": newest.hash, "sealed_at": stamp(newest.sealed_at)}
    return {
        "valid": done.valid,
        "records_checked": done.records,
        "first_broken_at": next((one["record_id"] for one in faults if one["record_id"] is not None), None),
        "first_record_id": None if done.first_id is None else str(done.first_id),
        "last_record_id": None if done.last_id is None else str(done.last_id),
        "seals_checked": done.seals,
        "unsealed": found.unsealed,
        "faults": faults,
        "complete": done.ended,
        "next_cursor": None if done.ended else cursors.cursor([json.dumps(_kept(asked, done))], name),
        "newest_seal": seal,
    }


def _kept(asked: Asked, done: Progress) -> dict[str, Any]:
    """What a cursor holds: nothing of the rows of others."""
    known = [_record_id(asked, one) is not None for one in done.faults]
    faults = [one if may else Fault(one.kind, one.seal, None) for one, may in zip(done.faults, known, strict=True)]
    return replace(done, faults=faults).members()


def _record_id(asked: Asked, fault: Fault) -> str | None:
    """The record of a fault, for a caller that may know of it."""
    may = asked.covers_all or (fault.workspace_id is not None and asked.covers(fault.workspace_id, None, None, None))
    return str(fault.record_id) if may and fault.record_id is not None else None


def _row(connection: Connection, grants: Sequence[Any], record_id: str) -> Any:
    """The row of this id, if the grants cover it, else the newest record of this action id."""
    asked = Asked(grants=tuple(grants))
    if record_id.isascii() and record_id.isdigit() and len(record_id) < 19:  # noqa: PLR2004 - what a column holds
        row = proofs.row(connection, int(record_id))
        if row is not None and asked.covers(row.workspace_id, row.namespace, row.provider, row.action_type):
            return row
    found = records.of(connection, records.scope(connection, grants), record_id, limit=1)
    return proofs.row(connection, found[0].id) if found else None


def _found(connection: Connection, grants: Sequence[Any], filters: Mapping[str, Any], part: Part) -> Found:
    return records.search(connection, records.scope(connection, grants, filters.get("tenant")), filters, part)
