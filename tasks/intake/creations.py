"""Requests that create something, made once under an ``Idempotency-Key``.

In order of time: a request whose key is known is answered as before; else what it creates is remembered under the key,
in the transaction that creates it; then the answer is kept, so that a copy gets the same one. A copy that comes at the
same moment waits for that transaction, breaks off its own, and finds what the first has made. Where no answer is kept
(it is on its way, the process ended before it could be, it is large) the copy is answered with what was created as it
is now.

An answer with a secret is never kept. The secret is sealed in that transaction, in a row of its own that goes after ten
minutes: long enough for a client that has lost the answer.
"""

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from config.errors import Unavailable
from config.settings import settings
from store.access import Caller
from store.engine import db
from store.engine.db import Connection
from store.executions import idempotency as keys
from store.sealing.seal import Cell, SealBroken, seal, unseal
from tasks.intake import idempotency
from tasks.intake.idempotency import SEPARATOR

#: how long a secret is kept, ms; and characters of an answer that is kept
KEPT_SECRET, MOST_KEPT = 600_000, 64 * 1024
#: what the key of a sealed secret begins with
_SEALED = "sealed" + SEPARATOR
_HOUR = 3_600_000

Secret = Mapping[str, Any]


class Answer(NamedTuple):
    """An answer as it was given."""

    status: int
    headers: Mapping[str, str]
    text: str


class Earlier(NamedTuple):
    """What an earlier copy of a request has created; its answer and the secret of it, as far as they are kept."""

    created_id: str
    answer: Answer | None
    secret: Secret


@dataclass(frozen=True, kw_only=True)
class Creation:
    """A request that creates something of a kind, under a key of its caller."""

    caller: Caller
    key: str
    #: what tells it from a request for something else
    kind: str
    body: Any

    def earlier(self) -> Earlier | None:
        """What an earlier copy has created.

        Raises:
            KeyClash: the key was used for a different request. Unavailable.
        """
        with idempotency.clashes_audited(), db.read() as connection:
            row = idempotency.earlier(connection, self._workspace_id, self._actor, self.key, self._same)
            if row is None:
                return None
            answer = Answer(*json.loads(row.outcome)) if row.outcome else None
            return Earlier(row.execution_id.partition(SEPARATOR)[2], answer, self._secret(connection))

    def remember(self, connection: Connection, created_id: str, secret: Secret | None = None) -> None:
        """Tie the key to what is created, in the transaction that does it; and keep the secret of it for a while.

        Raises:
            IntegrityError: a copy was faster.
        """
        named = f"{self.kind}{SEPARATOR}{created_id}"
        self._remember(connection, self.key, execution_id=named, created_at=db.now_ms())
        if secret is not None:
            until = db.now_ms() + KEPT_SECRET - settings().idempotency_hours * _HOUR
            sealed = seal(dict(secret), self._cell)
            self._remember(connection, _SEALED + self.key, execution_id=named, created_at=until, outcome=sealed)

    def keep(self, created: Answer) -> None:
        """Keep the answer, if that can be done; what is created stays in any case."""
        if len(created.text) > MOST_KEPT:
            return
        text = json.dumps([created.status, dict(created.headers), created.text])
        with contextlib.suppress(Unavailable), db.write(single=True) as connection:
            keys.tell(connection, self._workspace_id, idempotency.owned(self._actor, self.key), text)

    def _remember(self, connection: Connection, key: str, **more: Any) -> None:
        idempotency.remember(connection, self._workspace_id, self._actor, key, self._same, **more)

    def _secret(self, connection: Connection) -> Secret:
        name = idempotency.owned(self._actor, _SEALED + self.key)
        found = keys.find(connection, self._workspace_id, name)
        if found is not None and found.created_at >= db.now_ms() - settings().idempotency_hours * _HOUR:
            with contextlib.suppress(SealBroken):
                return unseal(found.outcome, self._cell)
        return {}

    @property
    def _same(self) -> list[Any]:
        return [self.kind, self.body]

    @property
    def _workspace_id(self) -> str:
        return self.caller.workspace_id

    @property
    def _actor(self) -> str:
        return self.caller.key_id

    @property
    def _cell(self) -> Cell:
        name = idempotency.owned(self._actor, self.key)
        return Cell("answer", self._workspace_id, "idempotency_keys", name, self.kind)
