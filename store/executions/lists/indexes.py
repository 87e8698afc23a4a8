"""The indexes of the lists of executions, each in the order of its list: newest first.

There is one for each filter, so that a page costs the same whatever is on the other pages. A filter on the status has
an index too, although each change of a status then changes that index: a list of what has failed must not read what
has not. What they cost is measured in docs/performance.md.
"""

import re

import sqlalchemy as sa

from playbooks.states import Kind, Status
from store.executions.transitions import executions, partial_index

_STEP = f"(kind = '{Kind.STEP}' AND type = 'action' AND revision_id <> '')"
_DONE = sa.text(f"kind = '{Kind.ACTION}' OR {_STEP}")
_RUN = sa.text(f"kind = '{Kind.PLAYBOOK}'")
#: the statuses of what did not do what it should: few of many
FAILED = (Status.FAILED, Status.TIMEOUT, Status.CANCELLED)
_FAILED = "status IN ({})".format(", ".join(f"'{status}'" for status in FAILED))


def _spelled_out(text: str) -> sa.ColumnElement[bool]:
    """A condition exactly as an index has it, which is how SQLite recognises that the index fits.

    It has no type: of one that is a Boolean, SQLite would be asked whether it is equal to 1.
    """
    named = re.sub(r"\b(kind|type|revision_id|status)\b", r"executions.\1", text)
    return sa.literal_column(f"({named})")


triggered = _spelled_out(f"kind = '{Kind.ACTION}'")
#: a step without a revision was skipped, or could not be entered
of_runs = _spelled_out(_STEP)
#: what lists of executions of actions show
done_by_action = _spelled_out(_DONE.text)
#: what failed, as the index on action and status has it
failed = _spelled_out(_FAILED)


def _in_order(name: str, where: sa.TextClause, *columns: sa.Column[str], also: tuple[sa.Column[str], ...] = ()) -> None:
    """An index in the order of the list, for the rows with one value of each of ``columns``.

    A further filter on one of ``also`` is answered by the index without a look at the rows.
    """
    table = executions.c
    partial_index(f"ix_executions_{name}", table.workspace_id, *columns, table.created_at, table.id, *also, where=where)


_in_order("done", _DONE)
_in_order("done_action", _DONE, executions.c.action_id)
_in_order("done_failed", sa.text(f"({_DONE.text}) AND {_FAILED}"), executions.c.action_id, executions.c.status)
_in_order("done_status", _DONE, executions.c.status)
_in_order("done_target", sa.text(f"({_DONE.text}) AND target IS NOT NULL"), executions.c.target)
_in_order("triggered", sa.text(f"kind = '{Kind.ACTION}'"), also=(executions.c.cause,))
_in_order("triggered_cause", sa.text(f"kind = '{Kind.ACTION}' AND cause IS NOT NULL"), executions.c.cause)
_in_order("runs", _RUN)
_in_order("runs_playbook", _RUN, executions.c.action_id)
_in_order(
    "runs_status", _RUN, executions.c.status, also=(executions.c.cause, executions.c.mode, executions.c.action_id)
)
_in_order("runs_target", sa.text(f"{_RUN.text} AND target IS NOT NULL"), executions.c.target)
_in_order("runs_cause", _RUN, executions.c.cause, also=(executions.c.mode, executions.c.action_id))
_in_order("runs_mode", _RUN, executions.c.mode)
_in_order("runs_event", sa.text(f"{_RUN.text} AND event_id IS NOT NULL"), executions.c.event_id)
