"""Which things there are: for completion, and for who has misspelt one."""

from __future__ import annotations

import difflib
from itertools import islice
from typing import TYPE_CHECKING, Callable, Dict, List, Mapping, Optional, Tuple

if TYPE_CHECKING:
    import click
    from click.shell_completion import CompletionItem

    from tocsin._errors import ApiError
    from tocsin.cli.session import Session

#: a place in a path → the list that has its values, the member with them, and the one that says more of them
_LISTS: Dict[str, Tuple[str, str, str]] = {
    "action_id": ("listActions", "id", "name"),
    "playbook_id": ("listPlaybooks", "id", "name"),
    "execution_id": ("listExecutions", "execution_id", "status"),
    "run_id": ("listRuns", "execution_id", "status"),
    "against": ("listRuns", "execution_id", "status"),
    "approval_id": ("listPendingApprovals", "id", "message"),
    "rule_name": ("listRules", "name", "description"),
    "provider": ("listProviders", "name", "kind"),
    "calendar_name": ("listCalendars", "name", "description"),
    "silence_id": ("listSilences", "id", "comment"),
    "bundle_name": ("listBundles", "name", "active_version"),
    "key_id": ("listKeys", "id", "name"),
    "username": ("listUsers", "username", "role"),
    "group_key": ("listGroups", "group_key", "rule"),
    "fingerprint": ("listEvents", "fingerprint", "state"),
    "generation": ("listGenerations", "generation", "source"),
}
_MOST = 100


def known_values(session: Session, place: str) -> List[Tuple[str, str]]:
    """The values that a place may have, each with a word on it."""
    operation, member, words = _LISTS[place]
    items = islice(session.items(operation, {}, {}), _MOST)
    return [(str(one[member]), str(one.to_dict().get(words) or "")) for one in items if member in one]


def meant(session: Session, error: ApiError, path: Mapping[str, str]) -> ApiError:
    """The error, with the nearest thing that there is."""
    place = next((one for one in reversed(list(path)) if one in _LISTS), None)
    if place is None or "did you mean" in error.detail.lower():
        return error
    from tocsin._errors import TocsinError

    given = path[place]
    try:
        known = [one for one, _ in known_values(session, place) if one != given]
    except TocsinError:
        return error
    near = difflib.get_close_matches(given, known, 1, 0.6) or [one for one in known if given in one][:1]
    if near:
        error.detail = f"{error.detail.rstrip('.') or 'There is none'}; did you mean {near[0]}?"
    return error


Completing = Callable[["click.Context", "click.Parameter", str], "List[CompletionItem]"]


def complete(place: str) -> Optional[Completing]:
    """The completion of a parameter; None where there is none."""
    if place not in _LISTS:
        return None

    def completing(ctx: click.Context, _: click.Parameter, incomplete: str) -> List[CompletionItem]:
        from click.shell_completion import CompletionItem

        from tocsin.cli.session import Session

        here: Session = ctx.find_object(Session) or Session()
        try:
            found = known_values(here, place)
        except Exception:  # noqa: BLE001 - a shell that completes shows no errors
            return []
        return [CompletionItem(one, help=words or None) for one, words in found if one.startswith(incomplete)]

    return completing
