"""What an approval may say of its votes and of its notices: members of a step, of an action's config, of a rule."""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from playbooks.definitions.fields import MAX_NAME_CHARACTERS, is_line, is_whole

#: the members that a step and the config of an action have in common with a rule
MEMBERS = ("quorum", "reject_quorum", "notify", "reminder_seconds")
#: what the provider of ``notify`` is called in a reference
PROVIDER = "provider:"
#: votes that may be asked for, and approvers that each get a notice
MOST_VOTERS = 20
#: the prefix of an approver that is a role
ROLE = "role:"
#: 30 days, and the shortest time between two reminders
MAX_SECONDS, MIN_REMINDER = 2_592_000, 60


def _whole(least: int, most: int) -> Callable[[Any], str | None]:
    return lambda value: None if is_whole(value, least, most) else f"must be a whole number from {least} to {most}"


RULES: Mapping[str, Callable[[Any], str | None]] = {
    "quorum": _whole(1, MOST_VOTERS),
    "reject_quorum": _whole(1, MOST_VOTERS),
    "notify": lambda value: (
        None
        if is_line(value, MAX_NAME_CHARACTERS)
        else f"must be the name of a provider, 1 to {MAX_NAME_CHARACTERS} characters"
    ),
    "reminder_seconds": _whole(MIN_REMINDER, MAX_SECONDS),
}


def clashes(given: Mapping[str, Any], timeout: tuple[str, Any]) -> Iterator[tuple[str, str]]:
    """The members that do not go together with others, and why.

    ``timeout`` is the member that says how long it waits, and its value.
    """
    approvers = given.get("approvers")
    named = approvers if isinstance(approvers, list) and all(isinstance(one, str) for one in approvers) else []
    if named and not any(one.startswith(ROLE) for one in named):
        number = len(set(named))
        for member in ("quorum", "reject_quorum"):
            wanted = given.get(member)
            if isinstance(wanted, int) and wanted > number:
                yield member, f"is more than the {number} approvers, who have one vote each"
    if "notify" in given and len(named) > MOST_VOTERS:
        yield "approvers", f"has more than {MOST_VOTERS} names: with notify each gets a notice of its own"
    reminder = given.get("reminder_seconds")
    if "reminder_seconds" in given and "notify" not in given:
        yield "reminder_seconds", "a reminder goes out by notify, which is not given"
    elif isinstance(reminder, int) and isinstance(timeout[1], int) and reminder >= timeout[1]:
        yield "reminder_seconds", f"must be shorter than {timeout[0]}"


def unknown(given: Mapping[str, Any], providers: Collection[str], hint: Callable[[str, list[str]], str]) -> str | None:
    """Why its notice cannot go out: there is no such provider."""
    name = given.get("notify")
    if not isinstance(name, str) or name in providers:
        return None
    return f"there is no provider '{name[:64]}'{hint(name, sorted(providers))}"
