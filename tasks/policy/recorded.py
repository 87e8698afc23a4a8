"""What was recorded, and the events, for the conditions of rules that ask for them."""

from gateway.rules.recorded import ActiveEvent, EventState, Query
from store.engine import db
from store.gateway import events
from store.records import listing as records


class Trail:
    """The records of the audit trail, and the rows of events."""

    def count(self, query: Query, most: int) -> int:
        """The number of records that match, up to ``most``.

        Raises:
            Unavailable: the database is away.
        """
        filters = {
            "since": query.since,
            "until": query.until,
            "action_type": query.action_type,
            "outcome": query.outcome,
            "namespace": query.namespace,
            "provider": query.provider,
            "matched_rule": query.rule,
        }
        with db.read() as connection:
            return records.count(connection, query.tenant, filters, most)

    def is_active(self, event: ActiveEvent) -> bool:
        """Whether there is such an event.

        Raises:
            Unavailable: the database is away.
        """
        besides = None if event.besides is None else events.event_id(event.tenant, event.namespace, event.besides)
        wanted = (event.tenant, event.namespace, event.type, event.labels, besides)
        return db.read_one(events.is_active, *wanted)

    def state(self, event: EventState) -> str | None:
        """The state of an event.

        Raises:
            Unavailable: the database is away.
        """
        row = db.read_one(events.read, events.event_id(*event))
        return None if row is None else str(row.state)
