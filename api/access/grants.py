"""Grants in the bodies of keys and users.

Their shape, and the rule that a caller hands on no more than it has.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from marshmallow import fields, validate

from api.http.auth import caller
from api.http.schemas import Strict, described
from config.errors import Forbidden, InvalidRequest, Problem
from gateway import grants
from playbooks.definitions.fields import MAX_NAME_CHARACTERS
from store.access import ROLES
from tasks import tenants

PATTERN = r"^(\*|[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*)$"


def _patterns(words: str, **more: Any) -> fields.List[str]:
    return fields.List(
        fields.String(metadata={"pattern": PATTERN, "minLength": 1, "maxLength": MAX_NAME_CHARACTERS}),
        validate=validate.Length(1, grants.MAX_PATTERNS),
        metadata=described(f"{words}: '*', names, or parents (acme covers acme.eu, not acme-corp)."),
        **more,
    )


class Grant(Strict):
    """What is covered: all four parts together."""

    tenants = _patterns("The tenants", required=True)
    namespaces = _patterns("The namespaces; all when not given")
    providers = _patterns("The providers; all when not given")
    actions = _patterns("The action types; all when not given")


def field(**more: Any) -> fields.List[Any]:
    """The member ``grants`` of a body."""
    return fields.List(
        fields.Nested(Grant),
        allow_none=True,
        validate=validate.Length(1, grants.MAX_GRANTS),
        metadata=described("What it covers of the gateway; grants add up. null: its own workspace as the tenant."),
        **more,
    )


def stored(given: Sequence[Mapping[str, Any]] | None, workspace_id: str) -> str | None:
    """Grants as a row keeps them.

    Without any, ``workspace_id`` is covered.

    Raises:
        InvalidRequest: a pattern is none. Forbidden: they cover more than the caller's own.
    """
    problems = [problem.under("/grants") for problem in grants.check(given)] if given is not None else []
    if problems:
        raise InvalidRequest("The grants are not sound.", problems=problems)
    wanted = grants.own(workspace_id) if given is None else grants.read(given)
    mine = tenants.of(caller())
    problems = [
        Problem(f"/grants/{number}", "covers more than a grant of yours")
        for number, one in enumerate(wanted)
        if not grants.include(mine, one)
    ]
    if problems:
        raise Forbidden("You can hand on only what you have.", code="not_granted", problems=problems)
    return None if given is None else json.dumps([one.written() for one in wanted])


def require(held: str | None, workspace_id: str) -> None:
    """Refuse grants, as a row holds them, that cover more than the caller's own.

    Raises:
        Forbidden: as it is.
    """
    mine = tenants.of(caller())
    if not all(grants.include(mine, one) for one in tenants.granted(held, workspace_id)):
        raise Forbidden("Its grants cover more than yours.", code="not_granted")


def require_role(role: str) -> None:
    """Refuse a role that may do more than the caller.

    Raises:
        Forbidden: as it is.
    """
    if not ROLES[role] <= caller().permissions:
        raise Forbidden(f"The role {role} may do more than you: you can hand on only what you have.")
