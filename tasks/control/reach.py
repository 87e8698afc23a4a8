"""Which executions and runs a caller reaches under ``/api``.

What is started in a workspace belongs to the workspace. A dispatch, the run of a chain and the steps of that run are
reached by the grants instead, as under ``/v1``: one of them must cover tenant, namespace, provider and action type
together, whichever workspace the caller is of. What is not reached does not exist for the caller.

A list has the rows of one workspace. For a caller whose grants do not cover that workspace whole, what is not reached
is taken from the part of the list that was read, so that a part costs the same whatever lies between.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from config.errors import NotFound
from gateway import gate_column
from gateway.facts import CHAIN_PREFIX, PROVIDER_PREFIX
from playbooks.states import Kind
from store.access import Caller
from store.engine.db import Connection, Row
from store.executions import runs
from store.executions.lists import listing, run_listing
from tasks import tenants

#: namespace, provider, action type
Parts = tuple[str, str, str]


def execution(connection: Connection, caller: Caller, execution_id: str) -> Row:
    """An execution of an action, or a dispatch.

    Raises:
        NotFound: the caller reaches none of that id.
    """
    return _within_reach(connection, caller, listing.read(connection, execution_id), f"execution {execution_id!r}")


def run(connection: Connection, caller: Caller, run_id: str) -> Row:
    """A run.

    Raises:
        NotFound: the caller reaches none of that id.
    """
    return _within_reach(connection, caller, runs.read(connection, run_id), f"playbook execution {run_id!r}")


def _within_reach(connection: Connection, caller: Caller, row: Row | None, name: str) -> Row:
    if row is None or not _reaches(connection, caller, row):
        raise NotFound(f"There is no {name}.")
    return row


def covers_dispatch(caller: Caller, row: Row) -> bool:
    """Whether a grant of the caller covers a dispatch as it was sent."""
    gate = gate_column.read(row.gate)
    assert gate is not None
    return _covers(
        caller, row.workspace_id, (gate.namespace, gate.original_provider or gate.provider, gate.action_type)
    )


def acting(caller: Caller, row: Row) -> Caller:
    """The caller as one of the row's workspace, for what it does with a row that it reaches."""
    return caller if row.workspace_id == caller.workspace_id else replace(caller, workspace_id=row.workspace_id)


def is_limited(caller: Caller) -> bool:
    """Whether something in the caller's own workspace may be beyond its grants."""
    mine = caller.workspace_id
    return not any(grant.only_tenants and grant.covers_tenant(mine) for grant in tenants.of(caller))


def reached_runs(connection: Connection, caller: Caller, rows: Sequence[Row]) -> list[Row]:
    """Those of some rows of a list of runs that the caller reaches."""
    chains = [row.id for row in rows if _is_chain(row)]
    return _reached(connection, caller, rows, {run_id: run_id for run_id in chains})


def reached_executions(connection: Connection, caller: Caller, rows: Sequence[Row]) -> list[Row]:
    """Those of some rows of a list of executions that the caller reaches."""
    # an action of a chain is a provider's
    steps = {row.id: row.run_id for row in rows if row.run_id and row.action_id.startswith(PROVIDER_PREFIX)}
    return _reached(connection, caller, rows, steps)


def _reached(connection: Connection, caller: Caller, rows: Sequence[Row], run_of: Mapping[str, str]) -> list[Row]:
    if not run_of or not is_limited(caller):
        return list(rows)
    above = run_listing.given(connection, set(run_of.values()))
    beyond = {row.id for row in above if _is_chain(row) and not _covers(caller, row.workspace_id, _parts_of_chain(row))}
    return [row for row in rows if run_of.get(row.id) not in beyond]


def _reaches(connection: Connection, caller: Caller, row: Row) -> bool:
    mine: bool = row.workspace_id == caller.workspace_id
    if mine and not is_limited(caller):
        return True
    if row.kind == Kind.DISPATCH:
        return covers_dispatch(caller, row)
    above = runs.read(connection, row.run_id) if row.kind == Kind.STEP else row
    if above is not None and _is_chain(above):
        return _covers(caller, row.workspace_id, _parts_of_chain(above))
    return mine


def _is_chain(row: Row) -> bool:
    return str(row.action_id).startswith(CHAIN_PREFIX)


def _covers(caller: Caller, tenant: str, parts: Parts | None) -> bool:
    return parts is not None and tenants.covers(caller, tenant, *parts)


def _parts_of_chain(row: Row) -> Parts | None:
    """What a chain's run was started for; None where that is not known, as of one too large for a list."""
    if row.input is None:
        return None
    origin: Any = json.loads(row.input).get("origin")
    if not isinstance(origin, dict):
        return None
    namespace, provider, action_type = (origin.get(name) or "" for name in ("namespace", "provider", "action_type"))
    return str(namespace), str(provider), str(action_type)
