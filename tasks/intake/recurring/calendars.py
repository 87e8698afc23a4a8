"""The calendars in which times of recurring actions do not count."""

import json
from collections.abc import Collection
from typing import Any

from gateway import current
from gateway.recurring.times import Closed


def names() -> Collection[str]:
    """The calendars that there are.

    Raises:
        Unavailable: this process does not know what is in force.
    """
    return current.current().calendars.keys()


def closed(row: Any) -> Closed:
    """What says which of the calendars of a recurring action leaves out a time.

    A calendar that is gone leaves out none.

    Raises:
        Unavailable: this process does not know what is in force.
    """
    if not row.skip_during:
        return lambda _: None
    known = current.current().calendars
    named = [known[name] for name in json.loads(row.skip_during) if name in known]
    return lambda at: next((one.name for one in named if one.contains(at)), None)
