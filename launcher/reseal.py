"""Re-seals everything under the first secret key: ``python -m launcher.reseal``.

Needed when the key (the first of ``TOCSIN_SECRET_KEYS``) is changed, before the old one is removed from the list, and
once after an update from a version that sealed in another form. It may run while everything else does, be stopped at
any moment and be started again. It goes through the tables (``tasks.secrets.reseal``) until one whole round has found
nothing to re-seal, and reports its progress; what cannot be opened it names by table and id, leaves unchanged, and ends
with status 1.
"""

import sys
import time
from collections import Counter

from config.errors import Unavailable
from store.engine import refusals
from store.sealing import subkeys
from tasks.secrets import reseal

#: the most rounds through all tables; after them other processes must still use another first key
_LOOKS = 10
#: pause between two lines about one table, seconds
_REPORT_EVERY = 2.0


def renew() -> tuple[dict[str, set[str]], bool]:
    """Re-seal everything; returns what cannot be opened, by table.

    The second value says whether nothing else is left to re-seal.

    Raises:
        Unavailable: the database is away.
    """
    for _ in range(_LOOKS):
        done, broken, reported_at = Counter[str](), dict[str, set[str]](), time.monotonic()
        for name, bite in reseal.walk():
            done[name] += bite.done
            broken.setdefault(name, set()).update(bite.broken)
            through = bite.after == ""
            if done[name] and (through or time.monotonic() - reported_at > _REPORT_EVERY):
                reported_at = time.monotonic()
                print(f"{name}: {done[name]} renewed{'' if through else ', going on'}", flush=True)
        if not done.total():
            return broken, True
    return broken, False


def main() -> int:
    """Re-seal everything and print the result."""
    try:
        broken, finished = renew()
    except Unavailable as error:
        print(f"{refusals.words(error)}; start this again, what has been done stays done.", file=sys.stderr)
        return 2
    for name, ids in broken.items():
        for each in sorted(ids):
            print(f"{name} {each}: cannot be opened or was altered; left as it is", file=sys.stderr)
    if not finished:
        print("Other processes still seal with another first key: set the same keys everywhere.", file=sys.stderr)
        return 1
    if any(broken.values()):
        return 1
    print(f"Everything is sealed under the first key ({subkeys.key_id(subkeys.newest())}).")
    return 0


if __name__ == "__main__":
    sys.exit(main())
