"""Texts that are none: SQLite takes any bytes for a text, and its driver then reads no row that has them.

Only one who rules the database writes such a text. What reads many rows goes on with it, so that one row does not keep
all the others from being read.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from store.engine.db import Connection

Read = TypeVar("Read")

#: what the driver says of such a text
_UNREADABLE = "Could not decode to UTF-8"


def read(db: Connection, statements: Callable[[], Read], errors: str = "replace") -> Read:
    """What the statements read; ``errors`` says what stands for bytes that are no text, as in ``bytes.decode``."""
    try:
        return statements()
    except Exception as error:
        if _UNREADABLE not in str(error):
            raise
    driver: Any = db.connection.dbapi_connection
    driver.text_factory = lambda data: data.decode(errors=errors)
    try:
        return statements()
    finally:
        driver.text_factory = str
