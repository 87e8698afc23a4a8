"""Ask the rules in force about one execution, and then the silences.

In order of time: the values of an execution are known and valid; the caller asks here, before an executor gets
anything. A trigger, a dispatch and a scheduled run are decided once, when they are accepted; a step of a run at each of
its attempts, because each calls the receiver. What the rules let out is put to the silences as it would go out: by the
provider, and with the payload, that the rules leave it.

An execution that no rule and no silence concerns costs two looks into memory: no query, no transaction, and its facts
are not built.
"""

from collections.abc import Callable
from typing import NamedTuple

from gateway import current, merge_patch
from gateway.facts import Facts, Key
from gateway.rules.decide import ALLOWED, decide
from gateway.silences import alerts
from gateway.silences.in_force import Silences
from gateway.verdicts import STOPPING, Muted, Quiet, Reroute, Silenced, StateMachine, Verdict
from store.engine import db
from store.gateway import silences as silence_rows
from tasks.policy import kept_alerts
from tasks.policy.meaning import HERE
from tasks.policy.recorded import Trail


class Decision(NamedTuple):
    """What the rules decide about an execution with these facts."""

    facts: Facts
    verdict: Verdict


_TRAIL = Trail()
#: the verdicts of what does not go out: an event moves on, and its notice is asked about by itself
_STAYING = STOPPING | {StateMachine.kind}


def judge(key: Key, facts: Callable[[], Facts]) -> Decision | None:
    """The decision about an execution; None where no rule and no silence has anything to say.

    ``facts`` returns what the rules read, secrets masked. It is called only when one of them concerns the key.

    Raises:
        Unavailable: what was recorded is asked for, and the database is away.
    """
    in_force = current.current()
    found = in_force.candidates(*key)
    if not found and not in_force.silences.by_id:
        return None
    if not found and in_force.silences.candidates(*key) is None:
        return None
    seen = facts()
    rules = in_force.asked(key, seen) if found else found
    verdict = decide(rules, seen, _TRAIL, in_force.calendars, meaning=HERE) if rules else ALLOWED
    if in_force.silences.by_id and verdict.kind not in _STAYING and not isinstance(verdict.effect, Muted):
        verdict = _quieted(in_force.silences, seen, verdict)
    return None if verdict == ALLOWED else Decision(seen, verdict)


def _quieted(silences: Silences, seen: Facts, verdict: Verdict) -> Verdict:
    """The verdict with the silence that keeps the execution back, if one does."""
    if isinstance(verdict.effect, Reroute):
        seen = seen._replace(provider=verdict.effect.target_provider)
    candidates = silences.candidates(*seen.key)
    if candidates is None:
        return verdict
    if verdict.patches:
        seen = seen._replace(payload=merge_patch.all_patched(seen.payload, verdict.patches))
    active, alert = candidates.active(seen), alerts.identity(seen)
    over = alert is not None and alerts.is_resolved(seen)
    if not active:
        passes = alert is not None and seen.fingerprint is not None and not over
        return verdict._replace(clears=alert) if passes and kept_alerts.is_kept(seen.tenant, str(alert)) else verdict
    if alert is not None and over:
        kept = db.read_one(silence_rows.keeping, seen.tenant, alert, [one.id for one, _ in active])
        active = [item for item in active if item[0].id in kept]
        if not active:  # its firing went out
            return verdict
    silence, until = active[0]
    quiet = Quiet(silence.id, silence.comment, until, silence.after, silence.is_window, alert)
    if quiet.holds:
        return verdict._replace(quiet=quiet, gathered=None)
    return verdict._replace(effect=Silenced(verdict.kind), checks=(), patches=(), quiet=quiet, gathered=None)
