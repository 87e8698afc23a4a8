"""What was recorded, for the conditions of rules that ask for it."""

from gateway.rules.recorded import Query
from store.engine import db
from store.records import listing as records


class Trail:
    """The records of the audit trail."""

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
