"""Accept dispatches: one, or many in one transaction.

In order of time: the batch is prepared, which asks the rules; it is committed in one transaction; only then messages
are published. Once ``accept`` has returned, nothing can lose what it has accepted. A fault of one dispatch is its own:
the others are accepted.
"""

import functools
from collections.abc import Sequence
from dataclasses import replace

from config.errors import Conflict
from store.engine import group_commit
from store.engine.db import IntegrityError
from tasks.intake import summaries
from tasks.intake.dispatches import batch as batches
from tasks.intake.dispatches.batch import Batch, Result, Taken
from tasks.intake.dispatches.gather import NoWindowError
from tasks.intake.dispatches.rows import Asked
from tasks.messages import publisher
from tasks.messages.model import Canvas
from tasks.policy import checks

#: how often dispatches are looked up again that another copy has accepted meanwhile
_TRIES = 4


def accept(asked: Sequence[Asked]) -> list[Result]:
    """Accept dispatches; the results are in their order.

    Raises:
        Unavailable: the database is away; nothing was accepted.
    """
    for _ in range(_TRIES):
        batch = Batch(asked)
        batches.prepare(batch)
        if not batch.ready:
            break
        try:
            messages = _committed(batch)
        except IntegrityError:  # a concurrent copy of one of them was faster
            continue
        if messages:
            publisher.publish_after_commit(*messages)
        for asked_for, refused in batch.refused:
            checks.learn(asked_for.dispatch.tenant, refused)
        if batch.closed:
            summaries.flush_soon(batch.closed)
        break
    else:
        raise Conflict("Other dispatches under the same ids are being accepted at this moment.", code="id_in_use")
    for place, first in batch.copies.items():
        batch.results[place] = _copied(batch.results[first], asked[place])
    return [batch.results[place] for place in range(len(asked))]


def _committed(batch: Batch) -> list[Canvas]:
    """Commit a batch; the messages to publish."""
    write, at = functools.partial(batches.write, batch=batch), batches.contended(batch)
    made: list[Canvas]
    try:
        made = group_commit.commit(write, single=batches.is_single(batch), at=at)
    except NoWindowError:
        made = group_commit.commit(write, at=at)
    return made


def _copied(result: Result, asked: Asked) -> Result:
    return replace(result, asked=asked, replayed=True) if isinstance(result, Taken) else result
