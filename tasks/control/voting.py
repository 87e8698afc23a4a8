"""Who may vote on an approval, and under which name.

A caller of ``/api`` is known by key or user; a link stands for its recipient, whatever key the request carries. Each
approver that is named has one vote, whether it comes by key, by session or by link. Without names, each key and each
user has one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gateway.approvals import signing
from gateway.rules.approval_checks import ROLE
from store import access, audit
from store.access import USER, Caller
from store.callers import known
from store.engine import db
from store.gateway import approvals
from tasks import tenants
from tasks.runs import deciders
from tasks.runs.deciders import NotYours

APPROVE, REJECT = signing.DECISIONS
#: the voter of a link without a recipient, and the way of all links
HOLDER = LINK = "link"


@dataclass(frozen=True, kw_only=True)
class Voter:
    """Who decides: a caller, or the recipient of a link."""

    name: str
    via: str
    role: str | None = None
    #: other names of the same: a key's, a user's
    names: frozenset[str] = frozenset()
    #: None where a link decides
    caller: Caller | None = None

    @property
    def all_names(self) -> frozenset[str]:
        """Every name by which an approval may call this voter."""
        return self.names | {self.name}


def by_caller(caller: Caller) -> Voter:
    """The voter behind a caller."""
    return Voter(name=caller.key_id, via="api", role=caller.role, names=_names(caller.key_id), caller=caller)


def by_link(recipient: str | None) -> Voter:
    """The voter of a link: its recipient."""
    if recipient is None:
        return Voter(name=HOLDER, via=LINK)
    return Voter(name=recipient, via=LINK, names=_names(recipient))


def _names(key_id: str) -> frozenset[str]:
    """The other names of a key or user, whichever workspace it is of: grants of others may cover this tenant."""
    if key_id.startswith(USER):
        return frozenset({key_id.removeprefix(USER)})
    name = db.read_one(access.key_name, key_id)
    return frozenset() if name is None else frozenset({name})


def checked(voter: Voter, row: Any, decision: str) -> str:
    """The name under which a vote on what a rule asks counts.

    Raises:
        NotYours: the decision is another's.
    """
    mine = _named(voter, approvals.approvers_of(row), row.notify)
    if decision == APPROVE and not row.requester_may_approve and _is_requester(voter, row.requested_by):
        raise NotYours(
            "Who has asked for this may not approve it: another has to (or the rule says requester_may_approve: true).",
            code="requester_may_not_approve",
        )
    return mine or voter.name


def checked_as_defined(voter: Voter, row: Any, notify: str | None = None) -> str:
    """The name under which a vote counts on what a step or an action asks; ``row`` is its execution.

    Raises:
        NotYours: the decision is another's.
    """
    who = deciders.of(row)
    mine = _named(voter, who.approvers, notify)
    if who.apart is not None and _is_requester(voter, who.apart):
        raise NotYours(
            "Who has started this may not decide about it: another key has to "
            "(or the definition says not_by_starter: false).",
            code="not_by_starter",
        )
    return mine or voter.name


def _named(voter: Voter, named: Sequence[str], notify: str | None) -> str | None:
    """The voter's name among the approvers; None where a role covers it, or every caller may decide.

    Raises:
        NotYours: others are named.
    """
    people = [name for name in named if not name.startswith(ROLE)]
    mine = next((name for name in people if name in voter.all_names), None)
    if named and mine is None and not _by_role(voter, named, notify):
        raise NotYours(
            f"Only these may decide: {', '.join(named)}. A user or key of that name or id, or of that role, does it.",
            code="not_an_approver",
        )
    return mine


def _by_role(voter: Voter, named: Sequence[str], notify: str | None) -> bool:
    """Whether a role that is named covers the voter: by its own, or by the link that was sent for the role."""
    roles = [name for name in named if name.startswith(ROLE)]
    if voter.via == LINK:
        return bool(roles) and notify is not None and voter.name == f"notify:{notify}"
    return f"{ROLE}{voter.role}" in roles


def _is_requester(voter: Voter, requester: str) -> bool:
    if requester == voter.name:
        return True
    # the names of keys are not unique: only a link is known by nothing else
    return voter.via == LINK and voter.name in _names(requester)


def is_revoked(recipient: str | None, tenant: str) -> bool:
    """Whether the key or the user to which a link was given may not decide any more.

    It may live in another workspace than the approval: keys of a parent, and all keys whose grants cover the tenant,
    decide too. An address or a channel is neither key nor user.
    """

    def covers(row: Any) -> bool:
        return any(grant.covers_tenant(tenant) for grant in tenants.granted(row.grants, row.workspace_id))

    if recipient is None:
        return False
    with db.read() as connection:
        return known.is_gone(connection, recipient, tenant, covers)


def note_refusal(
    voter: Voter, workspace_id: str, execution_id: str, refusal: NotYours, approval_id: str | None = None
) -> None:
    """Write an attempt to decide without permission to the audit trail; of those by links to one approval, a few."""
    with db.write() as connection:
        if approval_id is not None and voter.via == LINK and not approvals.note_refusal(connection, approval_id):
            return
        audit.record(connection, workspace_id, voter.name, "approval.refused", execution_id, reason=refusal.code)
