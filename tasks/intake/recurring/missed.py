"""Times that were missed: a row of the history stands for all from its own time up to its last one.

One of them may be made up for, by a backfill, before or after the row was written. The row then begins at the first
time behind it of which nothing is written yet, so that what has become of one time hides no other.
"""

import itertools
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from gateway.recurring import written
from store.engine.db import Connection, Row
from store.recurring import firings

#: times that are looked at together
_AT_ONCE = 500


def moved_on(connection: Connection, row: Row, times: Collection[int]) -> list[dict[str, Any]]:
    """The rows of missed times that stand where something else is about to be written, as they begin from then on.

    The caller has locked the recurring action.
    """
    found = list[dict[str, Any]]()
    for missed in firings.missed(connection, row.id, times):
        begin = first_unwritten(connection, row, missed.due_at, missed.missed_to, times)
        if begin is not None:
            found.append({**missed._asdict(), "due_at": begin})
    return found


def first_unwritten(
    connection: Connection, row: Row, after: int, last: int, besides: Collection[int] = ()
) -> int | None:
    """The first time after one, up to the last, of which nothing is written; none of ``besides``.

    Where the schedule was changed since and has no time there any more, it is the last one.
    """
    times = replace(written.times_of(row), ends_at=None).between(after + 1, last + 1)
    seen: Sequence[int] = ()
    while part := list(itertools.islice(times, _AT_ONCE)):
        seen = part
        known = {*firings.known(connection, row.id, part), *besides}
        free = next((at for at in part if at not in known), None)
        if free is not None:
            return free
    is_other = last > after and (not seen or seen[-1] != last)
    return last if is_other and last not in {*firings.known(connection, row.id, [last]), *besides} else None
