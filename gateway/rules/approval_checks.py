"""What a rule asks where it asks for an approval: the faults of its members.

They are members of ``require_approval``, and of ``throttle`` with ``on_excess: require_approval``.
"""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from expressions import templates
from playbooks.checks.faults import Faults, below
from playbooks.definitions import asking
from playbooks.definitions.asking import MAX_SECONDS, ROLE
from playbooks.definitions.fields import MAX_DESCRIPTION_CHARACTERS, MAX_NAME_CHARACTERS, is_line, is_text, is_whole

__all__ = ["ALIASES", "MEMBERS", "NAMES", "ROLE", "RULES", "asks", "check"]

MEMBERS = (
    "message",
    "notify",
    "approvers",
    "quorum",
    "reject_quorum",
    "timeout_seconds",
    "on_timeout",
    "requester_may_approve",
    "reminder_seconds",
)
#: other spelling → member
ALIASES = {"notify_provider": "notify"}
MAX_APPROVERS = asking.MOST_VOTERS
DEFAULT_TIMEOUT = 86_400
#: the names that a message may read
NAMES = ("action", "rule", "reason")


def asks(action: Mapping[str, Any]) -> bool:
    """Whether an action, as written, asks for an approval."""
    if action.get("type") == "throttle":
        return action.get("on_excess") == "require_approval"
    return action.get("type") == "require_approval"


def check(
    given: Mapping[str, Any], kind: str, providers: AbstractSet[str] | None, pointer: str, faults: Faults
) -> None:
    """Report what does not go together; each member is free of faults of its own, or reported."""
    if kind == "throttle" and not asks(given):
        for member in MEMBERS:
            if member in given:
                faults.add(below(pointer, member), "counts only with on_excess: require_approval")
        return
    if not asks(given):
        return
    if providers is not None and (missing := asking.unknown(given, providers, faults.hint)):
        faults.add(below(pointer, "notify"), missing)
    for member, text in asking.clashes(given, ("timeout_seconds", given.get("timeout_seconds", DEFAULT_TIMEOUT))):
        faults.add(below(pointer, member), text)


def _approvers(value: Any) -> str | None:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_APPROVERS:
        return f"must be a list of 1 to {MAX_APPROVERS} users, ids or names of keys, or roles such as role:admin"
    if not all(is_line(one, MAX_NAME_CHARACTERS) and one == one.strip() for one in value):
        return f"must have names of 1 to {MAX_NAME_CHARACTERS} characters"
    return "must not name one of them twice" if len(set(value)) < len(value) else None


def _message(value: Any) -> str | None:
    if not is_text(value, MAX_DESCRIPTION_CHARACTERS):
        return f"must be text of at most {MAX_DESCRIPTION_CHARACTERS} characters"
    return next((problem.detail for problem in templates.check(value, set(NAMES))), None)


def _whole(least: int, most: int) -> Callable[[Any], str | None]:
    return lambda value: None if is_whole(value, least, most) else f"must be a whole number from {least} to {most}"


RULES: dict[str, Callable[[Any], str | None]] = {
    "message": _message,
    "approvers": _approvers,
    "timeout_seconds": _whole(1, MAX_SECONDS),
    "on_timeout": lambda value: None if value in ("fail", "reject") else "must be fail or reject",
    "requester_may_approve": lambda value: None if isinstance(value, bool) else "must be true or false",
    **asking.RULES,
}
