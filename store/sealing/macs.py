"""MACs of rows that are not believed without one.

Such rows say who may call. A MAC covers some columns of a row, for one purpose, under a root key that is not in the
database. Columns that are NULL or that an earlier table lacks are left out, so that a new nullable column leaves the
MACs of existing rows valid.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from store.sealing import subkeys


class Vouched(NamedTuple):
    """What the MACs of a table cover, and their purpose."""

    purpose: str
    columns: Sequence[str]

    def mac(self, row: Mapping[str, Any]) -> str:
        """The MAC of a row, made with the first root key."""
        return self._mac(row, subkeys.newest())

    def is_right(self, row: Any) -> bool:
        """Whether a row of the table has a valid MAC.

        Every root key is tried.
        """
        made = subkeys.split(row.mac or "")
        return made is not None and hmac.compare_digest(row.mac.encode(), self._mac(row._asdict(), made[0]).encode())

    def _mac(self, row: Mapping[str, Any], root: str) -> str:
        said = {name: row[name] for name in self.columns if row.get(name) is not None}
        text = json.dumps(said, sort_keys=True).encode()
        return subkeys.prefix(root) + hmac.digest(subkeys.subkey(root, self.purpose), text, hashlib.sha256).hex()
