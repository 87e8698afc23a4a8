"""Re-seal what has an earlier form, another key, or no seal.

``walk`` goes through the tables one by one, each by its primary key, some rows at a time (``store.renewal``).
A bite that has changed rows is followed by a pause. A stopped walk can start again at no loss: renewed rows are
skipped. ``python -m launcher.reseal`` walks until nothing is left, ``tasks.clock.seals`` some bites at a time. A value
that cannot be opened stays, and the walk reports its id.
"""

import time
from collections.abc import Iterator, Mapping

from store import renewal
from store.engine import rest
from store.renewal import Bite, Step
from tasks.secrets import remask
from tasks.secrets.sealing import destination

#: the steps of a walk: name in logs → the function that renews the bite after a primary key
STEPS: dict[str, Step] = {
    "api_keys": renewal.API_KEYS.bite,
    "users": renewal.USERS.bite,
    "action_revisions": renewal.configs(destination).bite,
    "playbook_documents": renewal.DOCUMENTS.bite,
    "bundle_secrets": renewal.BUNDLE_SECRETS.bite,
    "executions": renewal.PARAMETERS.bite,
    "audit_floor": renewal.floor_mark,
}
#: with the steps that mask what only the present rules mask
ALL: dict[str, Step] = {
    **STEPS,
    "action_revisions (credentials)": remask.configs,
    "executions (credentials)": remask.executions,
}


def walk(steps: Mapping[str, Step] = ALL) -> Iterator[tuple[str, Bite]]:
    """Renew everything once; yields each bite with the name of its step.

    Raises:
        Unavailable: the database is away.
    """
    for name, step in steps.items():
        after, through = "", False
        while not through:
            began = time.monotonic()
            bite = step(after)
            yield name, bite
            after, through = bite.after, bite.after == ""
            if bite.done:
                rest.after_bite(began)
