# Made by sdk/tools/sync.py from tocsin/_async/resources/server.py; do not edit.
"""The server itself, and the stream of what happens at it."""

from __future__ import annotations

from typing import Any, Iterator, Dict, Optional

from tocsin import models
from tocsin._sync.resource import Resource
from tocsin._sync.stream import follow
from tocsin._messages import Message
from tocsin._operation import operation
from tocsin._operations import OPERATIONS
from tocsin._values import Many


class Server(Resource):
    """Health and numbers."""

    @operation("getServer")
    def get(self) -> models.Server:
        """Its version, what is switched on, its limits and its time."""
        return self._one("getServer", models.Server)

    @operation("getHealth")
    def health(self) -> models.Health:
        """Whether all is well, and what is not."""
        return self._one("getHealth", models.Health)

    @operation("getMetrics")
    def metrics(self) -> models.Metrics:
        """The numbers of the gateway."""
        return self._one("getMetrics", models.Metrics)

    @operation("getPrometheusMetrics")
    def prometheus(self) -> str:
        """The numbers as Prometheus reads them."""
        return str((self._transport.call("getPrometheusMetrics")).body)


class Stream(Resource):
    """What happens, as it happens."""

    @operation("followEvents")
    def follow(
        self,
        *,
        namespace: Optional[str] = None,
        tenant: Optional[str] = None,
        action_type: Optional[str] = None,
        outcome: Optional[Many[str]] = None,
        event_type: Optional[Many[str]] = None,
        chain_id: Optional[str] = None,
        action_id: Optional[str] = None,
        last_id: str = "",
    ) -> Iterator[Message]:
        """Each message that matches all filters, from now or from behind ``last_id``, for ever.

        Cuts are bridged; where more was missed than the server keeps, a message ``lagged`` says how much.
        """
        query: Dict[str, Any] = {
            "namespace": namespace,
            "tenant": tenant,
            "action_type": action_type,
            "outcome": outcome,
        }
        query.update(event_type=event_type, chain_id=chain_id, action_id=action_id)
        return follow(self._transport, OPERATIONS["followEvents"].path, query, last_id)
