"""The rows that a caller's grants cover, as the condition of a query.

Every list and every look-up by id under ``/v1`` has this condition, so that what is beyond the grants does not exist
for the caller.
"""

from collections.abc import Iterable
from typing import Any, Protocol

import sqlalchemy as sa

from store.access import workspaces

#: the pattern that covers every name
_ANY = "*"

Column = sa.ColumnElement[Any]


class Covering(Protocol):
    """Patterns for each part, as ``gateway.grants.Grant`` has them."""

    @property
    def tenants(self) -> tuple[str, ...]:
        """Names, parents of names, or ``*``."""

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Of the same form."""

    @property
    def providers(self) -> tuple[str, ...]:
        """Of the same form."""

    @property
    def actions(self) -> tuple[str, ...]:
        """Of the same form."""

    @property
    def exact(self) -> bool:
        """Whether its tenants have no children."""


def where(
    grants: Iterable[Covering],
    *,
    tenant: Column,
    namespace: Column | None = None,
    provider: Column | None = None,
    action: Column | None = None,
) -> sa.ColumnElement[bool]:
    """The condition that a row is covered by one of the grants.

    A part that the rows do not have is given as no column: then it limits no caller.
    """
    return sa.or_(sa.false(), *(_covered(grant, tenant, namespace, provider, action) for grant in grants))


def _covered(
    grant: Covering, tenant: Column, namespace: Column | None, provider: Column | None, action: Column | None
) -> sa.ColumnElement[bool]:
    parts = [(namespace, grant.namespaces), (provider, grant.providers), (action, grant.actions)]
    conditions = [_matches(column, patterns) for column, patterns in parts if column is not None]
    return sa.and_(sa.true(), _of_tenants(grant, tenant), *conditions)


def _of_tenants(grant: Covering, tenant: Column) -> sa.ColumnElement[bool]:
    if grant.exact:
        return tenant.in_(grant.tenants)
    if _ANY in grant.tenants:
        return sa.true()
    # by the few rows of workspaces, so that an index on the tenant finds the rows of the query
    return tenant.in_(sa.select(workspaces.c.id).where(_matches(workspaces.c.id, grant.tenants)))


def _matches(column: Column, patterns: tuple[str, ...]) -> sa.ColumnElement[bool]:
    if _ANY in patterns:
        return sa.true()
    # not LIKE, which ignores case on SQLite and has wildcards of its own
    children = (sa.func.substr(column, 1, len(pattern) + 1) == f"{pattern}." for pattern in patterns)
    return sa.or_(column.in_(patterns), *children)
