"""Tenants: what grants cover, in queries and by name, and the workspace of a new one."""

import itertools
import json

import pytest
import sqlalchemy as sa

from config.errors import Forbidden, InvalidRequest
from store import access
from store.access import Caller
from store.callers import reach
from store.engine import db
from tasks import tenants

NAMES = ("acme", "acme.eu", "acme.eu.x", "acme-corp", "ACME.eu", "acm_.eu", "other", "acme%", "äcme.eu", "*")
ROWS = sa.table("rows", *(sa.column(name) for name in ("tenant", "namespace", "provider", "action")))


def caller(*given: dict[str, list[str]], workspace: str = "acme") -> Caller:
    """A caller with these grants."""
    written = json.dumps(given) if given else None
    return Caller(key_id="k", workspace_id=workspace, role="admin", permissions=frozenset(), grants=written)


CALLERS = [
    caller(),
    caller({"tenants": ["*"]}),
    caller({"tenants": ["acme"]}),
    caller({"tenants": ["acme.eu", "acm_"]}),
    caller({"tenants": ["acme"], "namespaces": ["acme"]}, {"tenants": ["other"], "providers": ["acme.eu", "other"]}),
    caller({"tenants": ["*"], "actions": ["äcme"]}),
    caller({"tenants": ["nobody"]}),
]


def test_a_query_finds_what_the_grants_cover(database: str) -> None:
    """For all kinds of names and grants the condition of a query agrees with the decision in memory."""
    rows = [(one, two, *pair) for one, two in itertools.product(NAMES, NAMES) for pair in ((one, two), (two, one))]
    with db.write() as connection:
        for name in NAMES:
            access.ensure_workspace(connection, name, name)
        connection.exec_driver_sql("CREATE TABLE rows (tenant TEXT, namespace TEXT, provider TEXT, action TEXT)")
        names = ("tenant", "namespace", "provider", "action")
        connection.execute(sa.insert(ROWS), [dict(zip(names, row, strict=True)) for row in rows])
    for who in CALLERS:
        found = reach.where(
            tenants.of(who),
            tenant=ROWS.c.tenant,
            namespace=ROWS.c.namespace,
            provider=ROWS.c.provider,
            action=ROWS.c.action,
        )
        with db.read() as connection:
            shown = sorted(tuple(row) for row in connection.execute(sa.select(ROWS).where(found)))
        assert shown == sorted(row for row in rows if tenants.covers(who, *row)), who.grants


def test_rows_without_a_part_are_not_limited_by_it(database: str) -> None:
    """What has no provider is shown to a caller whose grant names providers, in its tenants only."""
    who = caller({"tenants": ["acme"], "providers": ["mail"]})
    with db.write() as connection:
        for name in ("acme", "acme.eu", "other"):
            access.ensure_workspace(connection, name, name)
        table = access.workspaces
        found = connection.execute(sa.select(table.c.id).where(reach.where(tenants.of(who), tenant=table.c.id)))
        assert sorted(found.scalars()) == ["acme", "acme.eu"]


def test_a_foreign_tenant_is_refused_by_the_grants_alone(database: str) -> None:
    """Whether there is such a tenant makes no difference, and nothing is made."""
    with db.write() as connection:
        access.ensure_workspace(connection, "there", "There")
    refusals = []
    for name in ("there", "nowhere"):
        with pytest.raises(Forbidden) as refused:
            tenants.workspace_for(caller({"tenants": ["acme"]}), name)
        refusals.append(str(refused.value).replace(name, "NAME"))
    assert refusals[0] == refusals[1]
    with db.read() as connection:
        assert access.workspace_ids(connection) == ["there"]


def test_a_covered_tenant_is_made_once(database: str) -> None:
    """Its first dispatch makes it, with a row in the trail; dots are part of names; the own workspace is just there."""
    who = caller({"tenants": ["acme"]})
    assert tenants.workspace_for(caller(workspace="mine"), "mine") == "mine"
    for _ in range(2):
        assert tenants.workspace_for(who, "acme.eu-1") == "acme.eu-1"
    with db.write() as connection:
        access.make_workspace(connection, "acme.eu-1", "another process")
        assert access.workspace_ids(connection) == ["acme.eu-1"]
        rows = connection.exec_driver_sql("SELECT workspace_id, actor, event, subject FROM audit").fetchall()
    assert [tuple(row) for row in rows] == [("acme.eu-1", "k", "workspace.created", "acme.eu-1")]


@pytest.mark.parametrize(
    "name", ["*", "acme/../x", "a'; DROP TABLE workspaces; --", "acme.", ".acme", "acme..eu", "", "a" * 129, "a\n", "é"]
)
def test_no_tenant_of_a_dangerous_name_is_made(database: str, name: str) -> None:
    """What looks like a path, a query or a pattern is no name of a tenant."""
    with pytest.raises(InvalidRequest) as refused:
        tenants.workspace_for(caller({"tenants": ["*"]}), name)
    assert refused.value.problems[0].pointer == "/tenant"
    with db.read() as connection:
        assert access.workspace_ids(connection) == []


def test_what_concerns_all_needs_a_whole_grant() -> None:
    """A grant over all tenants that is limited to a provider is not enough; a rule needs those that it names."""
    tenants.require_whole(caller({"tenants": ["*"]}))
    tenants.require_whole(caller({"tenants": ["acme"]}), ["acme.eu"])
    for who, patterns in (
        (caller(), ["*"]),
        (caller(), ["acme"]),
        (caller({"tenants": ["*"], "providers": ["mail"]}), ["*"]),
        (caller({"tenants": ["acme"]}), ["acme", "other"]),
        (caller({"tenants": ["acme"]}), []),
    ):
        with pytest.raises(Forbidden):
            tenants.require_whole(who, patterns)
