"""Mask stored values that only the present rules take for credentials.

``renewed`` extracts further secrets from a stored definition. ``configs`` and ``executions`` are steps of the walk of
``tasks.secrets.reseal``: the first goes through the revisions of actions that earlier rules have masked, the second
through the ended executions of the revisions in which it found a secret, and the runs around them: wherever the value
was stored (plans, reports, outputs, logs), it is masked. Each revision records its state, so a stopped walk can start
again at no loss.
"""

import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from config.types import Json
from playbooks.credentials import RULES
from playbooks.definitions import actions as meaning
from providers import registry
from store import remasking
from store.engine import db
from store.engine.db import Row
from store.renewal import Bite
from store.sealing.seal import SealBroken
from tasks.secrets import sealing
from tasks.secrets.redact import Redactor

_BITE, _EXECUTIONS = 100, 500
#: a shorter secret would be found in innocent text, in records that cannot be restored
_SHORTEST = 8

#: instead of an execution's id: the revision cannot be opened
_PASSED_OVER = "!"


def renewed(definition: Mapping[str, Any], known: Mapping[str, Any]) -> tuple[Json, Json]:
    """A stored definition with further secrets masked, and all its secrets.

    ``known`` are the secrets that it had. The executor gets exactly the same config.
    """
    outward = definition["executor"] in meaning.EXECUTORS  # the gateway's own executors have no credentials
    patterns = registry.executor(definition["executor"]).SECRETS if outward else ()
    whole = sealing.opened(dict(definition["config"]), known)
    config, found = sealing.extract_secrets(whole, patterns, known, author_wraps=False)
    return {**definition, "config": config}, found


def configs(after: str) -> Bite:
    """Mask the configs of the revisions after this id.

    Raises:
        Unavailable: the database is away; committed changes remain.
    """
    with db.read() as connection:
        rows = remasking.behind(connection, after, _BITE)
    done, broken = 0, []
    for row in rows:
        try:
            done += remasking.keep(row, _changes(row))
        except SealBroken:
            broken.append(row.id)
    return Bite(rows[-1].id if len(rows) == _BITE else "", done, tuple(broken))


def _changes(row: Row) -> Json:
    definition = json.loads(row.definition)
    known = _known(row, definition)
    masked, found = renewed(definition, known)
    if masked == definition and found == known:
        return {"rules": RULES}
    sealed = sealing.sealed_config(row.workspace_id, row.id, masked, found)
    return {"definition": json.dumps(masked), "sealed": sealed, "rules": -RULES}


def _known(row: Row, definition: Mapping[str, Any]) -> Json:
    revision: Any = SimpleNamespace(id=row.id, sealed=row.sealed, definition=definition)
    return sealing.opened_config(row.workspace_id, revision)


def executions(after: str) -> Bite:
    """Mask the secrets of a revision in a bite of its executions.

    ``after`` has the id of the revision and of the last execution.

    Raises:
        Unavailable: the database is away; committed changes remain.
    """
    revision_id, _, last = after.partition(" ")
    with db.read() as connection:
        row = remasking.to_look_through(connection, revision_id, itself=last != _PASSED_OVER)
        if row is None:
            return Bite("", 0, ())
        rows, last = remasking.ended(connection, row, last if row.id == revision_id else "", _EXECUTIONS)
    try:
        known = _known(row, json.loads(row.definition))
    except SealBroken:
        return Bite(f"{row.id} {_PASSED_OVER}", 0, (row.id,))
    redact = Redactor(text for text in sealing.telling(known) if len(text) >= _SHORTEST)
    changes = [(each, changed) for each in rows if (changed := _shown(each, redact))]
    runs = {each.run_id for each, _ in changes if each.run_id}
    for run_id in sorted(runs):
        with db.read() as connection:
            around = remasking.around(connection, run_id)
        changes += [(each, changed) for each in around if (changed := _shown(each, redact))]
    remasking.show(changes)
    if not last:
        remasking.keep(row, {"rules": RULES})
        remasking.empty_log()
    return Bite(f"{row.id} {last}".rstrip(), len(changes), ())


def _shown(row: Row, redact: Redactor) -> Json:
    """The columns of an execution that change when its secrets are masked."""
    changed = {}
    for name in remasking.SHOWN:
        text = getattr(row, name)
        if text is None:
            continue
        value = json.loads(text)
        masked = redact(value)
        if masked != value:
            changed[name] = json.dumps(masked)
    return changed
