"""Maintenance every five minutes, and probes of idle workers.

A new maintenance duty is a function of ``tasks.clock`` and one line here. A probe keeps an idle worker from looking
dead.
"""

from config import logs
from config.errors import Unavailable
from store import worker_processes
from store.engine import db
from tasks.app import app
from tasks.clock import retention, seals
from tasks.clock.duty import Duty, carry_out
from tasks.clock.trail import anchoring, checks, pruning
from tasks.messages import canvas

DUTIES = (
    Duty("executions", retention.forget_executions),
    Duty("secrets", retention.drop_secrets),
    Duty("idempotency_keys", retention.forget_idempotency_keys),
    Duty("approvals", retention.settle_approvals),
    Duty("events", retention.forget_events),
    Duty("groups", retention.forget_groups),
    Duty("payloads", retention.forget_payloads),
    Duty("firings", retention.forget_firings),
    Duty("rules", retention.forget_what_rules_remember),
    Duty("processes", retention.forget_processes),
    Duty("seals", seals.renew),
    Duty("audit_anchor", anchoring.anchor, counted=False),
    Duty("audit_rows", pruning.prune),
    Duty("audit_check", checks.check, seconds=10, counted=False),
)

log = logs.logger(__name__)


@app.task(name="tocsin.upkeep", ignore_result=True)
def maintain() -> dict[str, int]:
    """Delete old rows and renew old seals.

    Returns the rows that each duty handled.
    """
    try:
        return carry_out(DUTIES)
    except Unavailable:
        return {}


@app.task(name="tocsin.probe_workers", ignore_result=True)
def probe_workers() -> int:
    """Send every living worker process a probe; returns how many."""
    try:
        with db.read() as connection:
            names = [row.name for row in worker_processes.living(connection)]
        for name in names:
            canvas.probe(name)
    except (Unavailable, *canvas.BrokerDown) as error:
        log.warning("workers not probed", reason=str(error))
        return 0
    return len(names)


@app.task(name="tocsin.probe", ignore_result=True)
def probe() -> str:
    """Return at once.

    The worker's main process notes that it consumed a message.
    """
    return "ok"
