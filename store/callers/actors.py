"""Who has done something, by the id that rows keep of it: a key, a user, the holder of a link, the system itself."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from store.access import USER, api_keys
from store.audit import SYSTEM
from store.engine.db import Connection

KEY, PERSON, LINK, OTHER = "key", "user", "link", "other"
#: what an actor can be; other is a voter that an approval names otherwise than by an id
KINDS = (KEY, PERSON, SYSTEM, LINK, OTHER)

#: id, kind and name
Actor = dict[str, str]


def named(db: Connection, ids: Iterable[str | None]) -> dict[str, Actor]:
    """The actors of these ids, whichever workspace they are of, also revoked keys."""
    found = {name: _plain(name) for name in ids if name}
    others = sorted(name for name, actor in found.items() if actor["kind"] == OTHER)
    if others:
        rows = db.execute(sa.select(api_keys.c.id, api_keys.c.name).where(api_keys.c.id.in_(others)))
        found |= {row.id: _actor(row.id, KEY, row.name) for row in rows}
    return found


def _plain(name: str) -> Actor:
    if name.startswith(USER):
        return _actor(name, PERSON, name.removeprefix(USER))
    return _actor(name, name if name in (SYSTEM, LINK) else OTHER, name)


def _actor(actor_id: str, kind: str, name: Any) -> Actor:
    return {"id": actor_id, "kind": kind, "name": str(name)}
