"""The rows of the audit trail that may concern open streams: the database leaves out the others.

What clients want is brought together into one ``Sought``, whose sets become values of a statement. It is coarse: a
row that it lets through may concern no client, a row that it leaves out concerns none. Names of tenants are compared up
to their first dot, since one covers those below it.
"""

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import sqlalchemy as sa

from store import trail
from store.audit import audit
from store.engine import sets
from store.engine.db import Connection
from store.engine.prepared import quoted, words
from store.executions.transitions import TERMINAL, executions
from store.trail import Ahead, Entry, Position, Reading

#: the columns of a row of which events are made
COLUMNS = (
    *("id", "workspace_id", "at", "event", "subject", "details"),
    *("outcome", "origin", "namespace", "provider", "action_type", "given_id", "verdict", "rule"),
)
#: how the ids of runs begin, and the events of the trail that are about executions
RUN, EXECUTION = "pexec-", "execution."
#: how a run names the chain that it is, as ``gateway.facts.CHAIN_PREFIX``
CHAIN = "chain:"
#: the words of the trail for the end of an execution; a step that a new run takes over is carried
ENDS = frozenset({*map(str, TERMINAL), "carried"})


@dataclass(frozen=True, kw_only=True)
class Sought:
    """What clients want, together."""

    #: rows with these events of the trail
    events: frozenset[str] = frozenset()
    #: rows about these executions, or about dispatches that gave themselves these ids
    ids: frozenset[str] = frozenset()
    #: what became of that which was to go out: all of it, or what has one of these
    all_records: bool = False
    namespaces: frozenset[str] = frozenset()
    tenants: frozenset[str] = frozenset()
    #: ``pair``: of a tenant, and in a namespace
    pairs: frozenset[str] = frozenset()
    action_types: frozenset[str] = frozenset()
    outcomes: frozenset[str] = frozenset()
    #: what happens to runs and their steps: to all, to these, to those of these tenants
    all_runs: bool = False
    runs: frozenset[str] = frozenset()
    tenants_of_runs: frozenset[str] = frozenset()
    #: ends of steps of chains
    chains: bool = False

    def covers(self, other: "Sought") -> bool:
        """Whether it lets through whatever the other does."""
        return together([self, other]) == self


def together(all_sought: Iterable[Sought]) -> Sought:
    """What any of these seeks."""
    found = [Sought(), *all_sought]
    return Sought(**{each.name: _joined([getattr(one, each.name) for one in found]) for each in fields(Sought)})


def _joined(values: list[Any]) -> Any:
    return any(values) if isinstance(values[0], bool) else frozenset().union(*values)


def root(tenant: str) -> str:
    """The part of the name of a tenant that those below it share."""
    return tenant.partition(".")[0]


def pair(tenant: str, namespace: str) -> str:
    """A tenant and those below it, in a namespace."""
    return f"{root(tenant)}/{namespace}"


def rows(db: Connection, sought: Sought, ahead: Ahead, upto: Position, limit: int) -> list[Entry]:
    """Those of the next rows of the trail that may concern a client, up to a place, at most ``limit``."""
    dialect = db.dialect.name
    members = {each.name: value for each in fields(Sought) if (value := getattr(sought, each.name))}
    given = {name: sets.given(dialect, value) for name, value in members.items() if value is not True}
    return trail.between(db, _reading(dialect, tuple(members)), ahead, upto, limit, given)


@functools.lru_cache(maxsize=128)
def _reading(dialect: str, members: tuple[str, ...]) -> Reading:
    """The statements for what has only these members: each condition costs something for each row."""
    return Reading(*COLUMNS, where=_Conditions(dialect).may_concern(members))


class _Conditions:
    """The conditions on a row, as a database writes them."""

    def __init__(self, dialect: str) -> None:
        self._dialect = dialect
        row = audit.c
        run, tenant = self._root(row.subject), self._root(row.workspace_id)
        is_end = sa.and_(row.event.in_(words(_ENDS)), row.subject != run)
        self._of_rows = {
            "events": self._is_among(row.event, "events"),
            "ids": sa.or_(self._is_among(row.subject, "ids"), self._is_among(row.given_id, "ids")),
        }
        self._of_records = {
            "all_records": sa.true(),
            "namespaces": self._is_among(row.namespace, "namespaces"),
            "tenants": self._is_among(tenant, "tenants"),
            "pairs": self._is_among(tenant.concat(_text("/")).concat(row.namespace), "pairs"),
            "action_types": self._is_among(row.action_type, "action_types"),
            "outcomes": self._is_among(row.outcome, "outcomes"),
        }
        self._of_runs = {
            "all_runs": _begins(row.event, EXECUTION),
            "runs": self._is_among(run, "runs"),
            "tenants_of_runs": sa.and_(_begins(row.event, EXECUTION), self._is_among(tenant, "tenants_of_runs")),
            "chains": sa.and_(is_end, _is_chain(run)),
        }

    def may_concern(self, members: Sequence[str]) -> sa.ColumnElement[bool]:
        """Whether a row may concern a client; what costs most comes last."""
        of_rows, of_records, of_runs = (
            [condition for name, condition in conditions.items() if name in members]
            for conditions in (self._of_rows, self._of_records, self._of_runs)
        )
        return sa.or_(
            *of_rows,
            sa.and_(audit.c.outcome.is_not(None), sa.or_(sa.false(), *of_records)),
            sa.and_(_begins(audit.c.subject, RUN), sa.or_(sa.false(), *of_runs)),
        )

    def _is_among(self, value: sa.ColumnElement[str], name: str) -> sa.ColumnElement[bool]:
        return sets.is_among(self._dialect, value, name)

    def _root(self, name: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
        """The part of a name before its first dot."""
        if self._dialect == "postgresql":
            return sa.func.split_part(name, _text("."), _number(1), type_=sa.Text)
        dot = sa.func.instr(name.concat(_text(".")), _text("."))
        return sa.func.substr(name, _number(1), dot - _number(1), type_=sa.Text)


def _begins(column: sa.ColumnElement[str], prefix: str) -> sa.ColumnElement[bool]:
    return sa.func.substr(column, _number(1), _number(len(prefix))) == _text(prefix)


def _is_chain(run: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Whether a run is that of a chain: its row is looked up by its id."""
    named = sa.select(executions.c.action_id).where(executions.c.id == run).correlate(audit).scalar_subquery()
    return _begins(named, CHAIN)


def _number(value: int) -> sa.ColumnElement[int]:
    return sa.literal_column(str(value), sa.Integer)


def _text(value: str) -> sa.ColumnElement[str]:
    return sa.literal_column(quoted(value), sa.Text)


_ENDS = tuple(sorted(EXECUTION + word for word in ENDS))
