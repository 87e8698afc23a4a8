"""What a rule asks where it asks for an approval: the faults of its members.

They are members of ``require_approval``, and of ``throttle`` with ``on_excess: require_approval``.
"""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from expressions import templates
from playbooks.checks.faults import Faults, below, shown
from playbooks.definitions.fields import MAX_DESCRIPTION_CHARACTERS, MAX_NAME_CHARACTERS, is_line, is_text, is_whole

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
#: the prefix of an approver that is a role
ROLE = "role:"
MAX_APPROVERS = 20
#: 30 days, as long as an approval action may wait
MAX_SECONDS = 2_592_000
#: the shortest time between two reminders, seconds
MIN_REMINDER = 60
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
    _check_quorums(given, pointer, faults)
    name = given.get("notify")
    if isinstance(name, str) and providers is not None and name not in providers:
        hint = faults.hint(name, sorted(providers))
        faults.add(below(pointer, "notify"), f"there is no provider '{shown(name)}'{hint}")
    reminder, timeout = given.get("reminder_seconds"), given.get("timeout_seconds", DEFAULT_TIMEOUT)
    if "reminder_seconds" in given and "notify" not in given:
        faults.add(below(pointer, "reminder_seconds"), "a reminder goes out by notify, which is not given")
    elif isinstance(reminder, int) and isinstance(timeout, int) and reminder >= timeout:
        faults.add(below(pointer, "reminder_seconds"), "must be shorter than timeout_seconds")


def _check_quorums(given: Mapping[str, Any], pointer: str, faults: Faults) -> None:
    approvers = given.get("approvers")
    if not isinstance(approvers, list) or not approvers or any(str(one).startswith(ROLE) for one in approvers):
        return
    number = len({str(one) for one in approvers})
    for member in ("quorum", "reject_quorum"):
        wanted = given.get(member)
        if isinstance(wanted, int) and wanted > number:
            faults.add(below(pointer, member), f"is more than the {number} approvers, who have one vote each")


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
    "notify": lambda value: (
        None
        if is_line(value, MAX_NAME_CHARACTERS)
        else f"must be the name of a provider, 1 to {MAX_NAME_CHARACTERS} characters"
    ),
    "approvers": _approvers,
    "quorum": _whole(1, MAX_APPROVERS),
    "reject_quorum": _whole(1, MAX_APPROVERS),
    "timeout_seconds": _whole(1, MAX_SECONDS),
    "on_timeout": lambda value: None if value in ("fail", "reject") else "must be fail or reject",
    "requester_may_approve": lambda value: None if isinstance(value, bool) else "must be true or false",
    "reminder_seconds": _whole(MIN_REMINDER, MAX_SECONDS),
}
