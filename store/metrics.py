"""Numbers that only grow, for Prometheus: exact over restarts and processes.

A duty of the clock adds what the audit trail tells (``tasks.clock.metrics``), in the transaction that moves its mark.
``workspace_id`` is "" for a number of the whole installation: names of actions and playbooks are their workspace's own.
"""

import json
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import sqlalchemy as sa

from store.engine.db import Connection, metadata

metrics = sa.Table(
    "metrics",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("workspace_id", sa.Text, primary_key=True),
    #: the values of its labels, a JSON array
    sa.Column("labels", sa.Text, primary_key=True),
    sa.Column("number", sa.BigInteger, nullable=False),
)


class Series(NamedTuple):
    """One number: its metric, its workspace ("" for all) and the values of its labels."""

    name: str
    workspace_id: str = ""
    labels: tuple[str, ...] = ()


def add(db: Connection, numbers: Mapping[Series, int]) -> None:
    """Add to the numbers; always in one order, so that no two writers wait for each other."""
    rows = [
        {"name": one.name, "workspace": one.workspace_id, "labels": json.dumps(one.labels), "number": number}
        for one, number in sorted(numbers.items())
        if number
    ]
    if rows:
        db.execute(_add, rows)


_add = sa.text(
    "INSERT INTO metrics (name, workspace_id, labels, number) VALUES (:name, :workspace, :labels, :number)"
    " ON CONFLICT (name, workspace_id, labels) DO UPDATE SET number = metrics.number + excluded.number"
)


def read(db: Connection, workspaces: Iterable[str], name: str | None = None) -> dict[Series, int]:
    """The numbers of these workspaces, perhaps of one metric alone."""
    query = sa.select(metrics).where(metrics.c.workspace_id.in_(sorted(workspaces)))
    if name is not None:
        query = query.where(metrics.c.name == name)
    rows = db.execute(query)
    return {Series(row.name, row.workspace_id, tuple(json.loads(row.labels))): row.number for row in rows}
