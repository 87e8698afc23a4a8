"""Whether a silence has kept the firing of an alert back, asked about each firing that passes.

Most tenants have no such alert: that is remembered for a moment, so that their dispatches cost no look at the database.
"""

import time
from collections import OrderedDict

from store.engine import db
from store.gateway import silences

#: how long a process goes by it that a tenant has no such alert, seconds; tenants that it remembers
_REMEMBERED, _MOST = 1.0, 10_000

_none: OrderedDict[str, float] = OrderedDict()


def is_kept(tenant: str, alert: str) -> bool:
    """Whether the firing of an alert was kept back, and its end was not heard of since.

    Raises:
        Unavailable: the database is away.
    """
    if _none.get(tenant, 0.0) > time.monotonic():
        return False
    of_tenant, kept = db.read_one(silences.kept_alerts, tenant, alert)
    if not of_tenant:
        _none[tenant] = time.monotonic() + _REMEMBERED
        if len(_none) > _MOST:
            _none.popitem(last=False)
    return bool(kept)


def noted(tenant: str) -> None:
    """A silence of this tenant keeps an alert back."""
    _none.pop(tenant, None)
