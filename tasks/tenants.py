"""The tenants that a caller covers, and the workspace of one that has none yet.

A tenant is a workspace. A caller that names a tenant beyond its grants is refused by the grants alone, whether there
is such a tenant or not, so that it does not learn which there are.
"""

import functools
import json
import re
from collections.abc import Sequence

from config.errors import Forbidden, InvalidRequest, Problem
from config.settings import settings
from gateway import grants
from gateway.grants import ANY, Grant
from store import access
from store.access import Caller
from store.engine import db

#: what a tenant may be called that its first dispatch makes
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*")
_MOST_CHARACTERS = 128
#: workspaces that this process has seen; none is ever deleted
_MOST_KNOWN = 10_000

_known: set[tuple[str, str]] = set()


def of(caller: Caller) -> tuple[Grant, ...]:
    """The caller's grants; its own workspace where it has none."""
    return granted(caller.grants, caller.workspace_id)


def granted(written: str | None, workspace_id: str) -> tuple[Grant, ...]:
    """The grants of a row of a key or a user."""
    return _read(written) if written else grants.own(workspace_id)


@functools.lru_cache(maxsize=1_000)
def _read(written: str) -> tuple[Grant, ...]:
    return grants.read(json.loads(written))


def covers(caller: Caller, tenant: str, namespace: str, provider: str, action: str) -> bool:
    """Whether one of the caller's grants covers all four parts."""
    return grants.allows(of(caller), tenant, namespace, provider, action)


def require(caller: Caller, tenant: str, namespace: str, provider: str, action: str) -> None:
    """Refuse what no grant of the caller covers.

    Raises:
        Forbidden: as it is.
    """
    if not covers(caller, tenant, namespace, provider, action):
        require_named(caller, tenant)
        raise Forbidden(
            f"Your grants for the tenant {tenant!r} do not cover namespace {namespace!r}, provider {provider!r} and "
            f"action type {action!r} together.",
            code="not_granted",
        )


def require_named(caller: Caller, tenant: str) -> None:
    """Refuse a tenant, named as a filter or a target, that no grant of the caller covers.

    Raises:
        Forbidden: as it is.
    """
    if not any(grant.covers_tenant(tenant) for grant in of(caller)):
        raise Forbidden(f"Your grants do not cover the tenant {tenant!r}.", code="not_granted")


def require_whole(caller: Caller, tenants: Sequence[str] = (ANY,)) -> None:
    """Refuse a caller without a grant, limited by nothing else, over all these tenant patterns.

    Reload, stop and circuit breakers concern all tenants; a rule those that it names.

    Raises:
        Forbidden: as it is.
    """
    if not grants.allows_tenants(of(caller), tenants or (ANY,)):
        named = "all tenants" if not tenants or ANY in tenants else f"the tenants {', '.join(tenants)}"
        raise Forbidden(f"This concerns {named}: it needs a grant that covers them whole.", code="not_granted")


def workspace_for(caller: Caller, tenant: str) -> str:
    """The workspace of a tenant that the caller covers; made where there is none yet.

    Call it when everything else of a dispatch is checked, before the transaction that accepts it: the workspace has one
    of its own, so that a process can remember it. The caller's own costs nothing.

    Raises:
        Forbidden: no grant covers it. InvalidRequest: no tenant may be called that. Unavailable.
    """
    if tenant == caller.workspace_id and not caller.grants:
        return tenant
    require_named(caller, tenant)
    known = settings().database_url, tenant
    if known not in _known:
        if not db.read_one(access.has_workspace, tenant):
            _make(caller, tenant)
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        _known.add(known)
    return tenant


def require_pattern(tenant: str) -> None:
    """Refuse a pattern that covers no tenant that there is or could be.

    Raises:
        InvalidRequest: as it is. Unavailable.
    """
    if tenant != ANY and not _may_be_called(tenant) and not db.read_one(access.has_workspace, tenant):
        raise _no_name()


def _may_be_called(tenant: str) -> bool:
    return len(tenant) <= _MOST_CHARACTERS and _NAME.fullmatch(tenant) is not None


def _no_name() -> InvalidRequest:
    problem = Problem(
        "/tenant",
        "must be a name of letters, digits, '-' and '_', parts joined by dots, "
        f"of at most {_MOST_CHARACTERS} characters",
    )
    return InvalidRequest("There is no such tenant, and none may be called that.", problems=[problem])


def _make(caller: Caller, tenant: str) -> None:
    if not _may_be_called(tenant):
        raise _no_name()
    with db.write() as connection:
        access.make_workspace(connection, tenant, caller.key_id)
