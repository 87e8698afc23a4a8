"""Anchor the trail: each hour the newest seal is logged, and sent by a provider if the operator wants it elsewhere.

An intruder with both the database and its key could make the whole chain again; and blocks that are cut off its end
leave no gap. Neither agrees with a seal that is kept elsewhere. An hour has one anchor, whichever process is first; a
dispatch is accepted in the transaction that notes it.
"""

from config import logs
from config.errors import CallerError
from config.settings import settings
from config.times import stamp
from gateway.requests import Dispatch
from store import access, audit
from store.access import Caller
from store.blocks import anchors, seals
from store.engine import db
from store.engine.db import Connection, Row
from store.executions import transitions
from tasks.clock.duty import TimeSlice
from tasks.intake.dispatches import gate
from tasks.intake.dispatches.gate import Ready
from tasks.intake.dispatches.rows import Asked, Providers
from tasks.messages import publisher
from tasks.messages.model import Canvas

#: the namespace and action type of anchors as dispatches
NAMESPACE, ACTION_TYPE = "audit", "audit_anchor"

log = logs.logger(__name__)


def anchor(_: TimeSlice) -> int:
    """Anchor the newest seal, once in each hour of the clock; returns 1 where this process has.

    Raises:
        Unavailable: the database is away; the next round anchors.
    """
    hour = db.now_ms() // anchors.HOUR
    # one of an hour that is not there yet would keep all before it from being noted
    last = db.read_one(anchors.newest, hour)
    if last is not None and last.hour == hour:
        return 0
    seal = db.read_one(seals.newest)
    if seal is None or (last is not None and last.number == seal.number):
        return 0
    ready = _ready(seal)
    messages = db.change(lambda connection: _written(connection, seal, hour, ready))
    if messages is None:
        return 0
    log.info("audit trail anchored", seal=seal.number, hash=seal.hash, sealed_at=stamp(seal.sealed_at), key=seal.key_id)
    if messages:
        publisher.publish_after_commit(*messages)
    return 1


def _written(connection: Connection, seal: Row, hour: int, ready: Ready | None) -> list[Canvas] | None:
    """Note the anchor and accept its dispatch; None where another process was faster."""
    decided = gate.carried_out(connection, ready) if ready is not None else None
    rows = list(decided.rows) if decided is not None else []
    if not anchors.add(connection, seal, hour, rows[0]["id"] if rows else None):
        return None
    if rows:
        transitions.add(connection, rows, audit.SYSTEM)
    return list(decided.messages) if decided is not None else []


def _ready(seal: Row) -> Ready | None:
    """The dispatch of an anchor; None where none is wanted, or it cannot be sent."""
    provider = settings().audit_anchor
    if not provider:
        return None
    tenant = db.read_one(access.some_workspaces, 1)[0]
    may = frozenset({"dispatch"})
    payload = {
        "seal": seal.number,
        "hash": seal.hash,
        "root": seal.root,
        "rows": seal.row_count,
        "sealed_at": stamp(seal.sealed_at),
        "key_id": seal.key_id,
        "signature": seal.signature,
        "text": f"Tocsin audit trail: seal {seal.number} of {stamp(seal.sealed_at)} has the hash {seal.hash}",
    }
    asked = Asked(
        caller=Caller(key_id=audit.SYSTEM, workspace_id=tenant, role="operator", permissions=may),
        dispatch=Dispatch(
            namespace=NAMESPACE, tenant=tenant, provider=provider, action_type=ACTION_TYPE, payload=payload
        ),
        origin="audit",
    )
    try:
        return gate.prepared(Providers(), asked)
    except CallerError as refusal:
        if refusal.retryable:
            raise
        log.warning("anchor of the audit trail cannot be sent", provider=provider, reason=str(refusal))
        return None
