"""Re-seal what is sealed in an earlier form, under another key, or not at all.

``walk`` goes through the tables one by one, each by its primary key, some rows at a time (``store.renewal``).
A walk that was stopped can start again at no loss: rows that are done are skipped. ``python -m launcher.reseal`` walks
until nothing is left to do, ``tasks.clock.seals`` some bites at a time. What cannot be opened is left and
named by its id.
"""

from collections.abc import Iterator, Mapping

from store import renewal
from store.renewal import Bite, Step
from tasks.secrets import remask
from tasks.secrets.sealing import destination

#: what a walk goes through: a name that people read, and how to take the bite after a primary key
STEPS: dict[str, Step] = {
    "api_keys": renewal.API_KEYS.bite,
    "action_revisions": renewal.configs(destination).bite,
    "playbook_documents": renewal.DOCUMENTS.bite,
    "executions": renewal.PARAMETERS.bite,
}
#: with what is masked only now
ALL: dict[str, Step] = {
    **STEPS,
    "action_revisions (credentials)": remask.configs,
    "executions (credentials)": remask.executions,
}


def walk(steps: Mapping[str, Step] = ALL) -> Iterator[tuple[str, Bite]]:
    """Go through everything once; yields the name of the step and each bite when it has been taken.

    Raises:
        Unavailable: the database is away.
    """
    for name, step in steps.items():
        after, through = "", False
        while not through:
            bite = step(after)
            yield name, bite
            after, through = bite.after, bite.after == ""
