"""The record of an end: what the audit row that ends an execution says besides.

Records are made of what goes out: triggered actions, dispatches, and the steps of a run that call an action or a
provider; never of a dry run or a sandbox. Their columns are computed by the statement that ends the row, from its
column ``gate`` where a rule or a dispatch has filled it, else from the row itself. ``columns`` has them for statements,
``of_new`` for rows that are added as ended.
"""

import json
from collections.abc import Mapping
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles

from playbooks.states import Kind, Mode, Status
from store import audit
from store.audit import NO_RECORD, RECORD, USUAL
from store.engine.prepared import quoted

#: codes of errors that are outcomes of their own, and those by which the gate ends what does not go out
_CODES = {
    "denied": "suppressed",
    "suppressed": "suppressed",
    "silenced": "silenced",
    "muted": "muted",
    "deduplicated": "deduplicated",
    "throttled": "throttled",
    "circuit_open": "circuit_open",
}
#: verdicts that let something else happen in the place of what has completed
_INSTEAD = {"chain": "chain_started", "state_machine": "state_changed"}
_BY_STATUS = {Status.COMPLETED: USUAL, Status.FAILED: "failed", Status.TIMEOUT: "failed"}
_ORIGINS: dict[str, str] = {Kind.ACTION: "trigger", Kind.STEP: "step"}
_NAMESPACES: dict[str, str] = {Kind.ACTION: "actions", Kind.STEP: "playbooks"}
#: the verdict that is not noted: records without one show it
_USUAL_VERDICT = "allow"
#: how a step names a provider instead of an action
_PREFIX = "provider:"


def word(to: Status, error: str | None) -> str:
    """The outcome of an end, as far as its status and the JSON of its error say.

    An execution that is cancelled or skipped by no rule has these as its outcome.
    """
    said = json.loads(error) if error and to != Status.COMPLETED else None
    code = said.get("code") if isinstance(said, dict) else None
    return _CODES.get(str(code)) or _BY_STATUS.get(to, str(to))


class _Member(sa.ColumnElement[str]):
    """A member of the column ``gate`` of a row of ``executions``, or of its ``input``."""

    inherit_cache = True
    _traverse_internals: ClassVar[Any] = [  # type: ignore[misc]
        ("member", sa.sql.visitors.InternalTraversal.dp_string),
        ("column", sa.sql.visitors.InternalTraversal.dp_string),
    ]
    type = sa.Text()

    def __init__(self, member: str, column: str = "gate") -> None:
        self.member, self.column = member, column


@compiles(_Member)
def _of_json(element: _Member, *_: Any, **__: Any) -> str:
    return f"json_extract(executions.{element.column}, '$.{element.member}')"


@compiles(_Member, "postgresql")
def _of_postgresql(element: _Member, *_: Any, **__: Any) -> str:
    return f"(CAST(executions.{element.column} AS json) ->> '{element.member}')"


def columns(table: sa.Table, to: Status) -> tuple[sa.Label[Any], ...]:
    """What the statement that changes rows of ``executions`` to an ended status returns for their records.

    Open parameter: ``ended_``, the ``word`` of the end.
    """
    row = table.c
    is_step = row.kind == _word(Kind.STEP)
    calls = sa.and_(row.type == _word("action"), row.revision_id != _word(""))
    is_record = sa.and_(row.mode == _word(Mode.LIVE), row.kind != _word(Kind.PLAYBOOK), sa.or_(sa.not_(is_step), calls))
    own = {
        "outcome": sa.case((is_record, _outcome(to))),
        "origin": _else(_Member("origin"), row.kind, _ORIGINS),
        "namespace": _else(_Member("namespace"), row.kind, _NAMESPACES),
        "provider": sa.func.coalesce(_Member("provider"), _own_provider(row)),
        "action_type": sa.func.coalesce(_Member("action_type"), _own_type(row)),
        "given_id": _Member("given_id"),
        "verdict": sa.func.nullif(_Member("verdict"), _word(_USUAL_VERDICT)),
        "rule": _Member("rule"),
        "caller": row.created_by,
        "began_at": row.created_at,
    }
    return tuple(own[name].label(name) for name in RECORD)


def _outcome(to: Status) -> sa.ColumnElement[Any]:
    ended = sa.bindparam("ended_", type_=sa.Text)
    if to == Status.COMPLETED:
        rerouted = sa.or_(_Member("verdict") == _word("reroute"), _Member("original_provider").is_not(None))
        instead = [(_Member("verdict") == _word(verdict), _word(outcome)) for verdict, outcome in _INSTEAD.items()]
        return sa.case((rerouted, _word("rerouted")), *instead, else_=ended)
    if to == Status.SKIPPED:  # its row says only in ``gate`` what has stopped it
        codes = [(_Member("outcome") == _word(code), _word(outcome)) for code, outcome in _CODES.items()]
        return sa.case(*codes, else_=ended)
    return ended


#: spelled out: for SQLite the library leaves out the names of tables in what a statement returns
_PROVIDER: sa.ColumnElement[str] = sa.literal_column(
    "(SELECT revision.provider FROM action_revisions AS revision WHERE revision.id = executions.revision_id)", sa.Text
)


def _names_provider(row: Any) -> sa.ColumnElement[bool]:
    prefix = sa.func.substr(row.action_id, sa.literal_column("1"), sa.literal_column(str(len(_PREFIX))))
    return prefix == _word(_PREFIX)


def _own_provider(row: Any) -> sa.ColumnElement[str]:
    """The provider that a dispatch or a step names, or that an action has."""
    named = sa.func.substr(row.action_id, sa.literal_column(str(len(_PREFIX) + 1)))
    return sa.case((_names_provider(row), named), else_=_PROVIDER)


def _own_type(row: Any) -> sa.ColumnElement[str]:
    """The action type that a dispatch or a step with a provider has among its values, or the action."""
    return sa.func.coalesce(sa.case((_names_provider(row), _Member("action_type", "input"))), row.action_id)


def _else(given: sa.ColumnElement[str], kind: sa.ColumnElement[str], words: Mapping[str, str]) -> Any:
    cases = [(kind == _word(name), _word(value)) for name, value in words.items()]
    return sa.func.coalesce(given, sa.case(*cases, else_=_word("dispatch")))


def _word(text: str) -> sa.ColumnElement[str]:
    return sa.literal_column(quoted(text), sa.Text)


def given(to: Status, changes: Mapping[str, Any]) -> dict[str, str]:
    """The parameter of a statement that changes a status to ``to``, besides its ``changes``."""
    return {"ended_": word(to, changes.get("error"))} if to in _ENDED else {}


def noting(moved: sa.FromClause, details: sa.ColumnElement[Any]) -> sa.Insert:
    """The statement that writes the audit rows of ``moved``, which returns ``columns`` where it ends something."""
    if "outcome" not in moved.c:
        return audit.noting(moved, details=details, of="id_")
    is_record = moved.c.outcome.is_not(None)
    record = {name: sa.case((is_record, moved.c[name])) for name in RECORD}
    return audit.noting(moved, details=details, record=record, of="id_")


def others(moved: sa.FromClause) -> list[sa.ColumnElement[Any]]:
    """What ``moved`` returns besides, for its caller."""
    return [column for column in moved.c if column.name not in RECORD]


def of_row(row: Any) -> Mapping[str, Any]:
    """The columns of the audit row of a row that such a statement has returned."""
    if getattr(row, "outcome", None) is None:
        return NO_RECORD
    return {name: getattr(row, name) for name in RECORD}


def of_new(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """The columns of the audit row of an execution that is added.

    It has none unless it is added as ended by a verdict, which its ``gate`` tells. A step that a new run takes over
    from an earlier one went out in that one.
    """
    status, gate = row["status"], row.get("gate")
    if status not in _ENDED or gate is None or "event_" in row or row.get("mode", Mode.LIVE) != Mode.LIVE:
        return NO_RECORD
    said = json.loads(gate)
    outcome = _CODES.get(said.get("outcome", "")) or word(status, row.get("error"))
    if status == Status.COMPLETED:
        outcome = _INSTEAD.get(said.get("verdict", ""), outcome)
    verdict = said.get("verdict")
    own = {"outcome": outcome, "verdict": None if verdict == _USUAL_VERDICT else verdict}
    own |= {"caller": row["created_by"], "began_at": row["created_at"]}
    return {**{name: said.get(name) for name in RECORD}, **own}


def told_of_new(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the audit row of an execution that is added tells besides: the run of a chain that takes its place."""
    gate = row.get("gate")
    if row["status"] != Status.COMPLETED or gate is None or json.loads(gate).get("verdict") != "chain":
        return {}
    output = json.loads(row.get("output") or "{}")
    return {"chain_id": output.get("chain_id"), "chain": output.get("chain_name")}


_ENDED = frozenset({Status.COMPLETED, Status.FAILED, Status.TIMEOUT, Status.CANCELLED, Status.SKIPPED})
