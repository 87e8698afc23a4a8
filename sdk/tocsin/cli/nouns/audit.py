"""The audit: what was done, why, and the proof that the record is whole."""

from __future__ import annotations

from itertools import islice

import click

from tocsin.cli.request import Request
from tocsin.cli.root import noun
from tocsin.cli.session import Session
from tocsin.cli.verb import declare

audit = noun("audit")
_FILTERS = ("namespace", "tenant", "provider", "action_type", "outcome", "verdict", "matched_rule", "caller_id")

declare(audit, "search", "listRecords", "The records that match all filters, the newest first.")
declare(audit, "get", "getRecord", "The record of an execution, by its id or its dispatch's.")
declare(audit, "why", "explainRecord", "The reasons for the outcome, in sentences.")
declare(audit, "keys", "listSealKeys", "The public keys by which seals are checked.")
declare(audit, "proof", "getProof", "What another party needs to check one record on its own.")


def _verify(here: Session, request: Request) -> int:
    from tocsin._operations import OPERATIONS
    from tocsin.cli.failures import INVALID
    from tocsin.cli.output.formats import show_one

    found = request.call(here).body
    while not found["complete"]:  # an answer is of what was checked up to it; the last one is of the whole
        here.say(f"{found['records_checked']} records checked, {found['seals_checked']} seals; going on")
        query = {**request.query, "cursor": found["next_cursor"]}
        found = request._replace(query=query).call(here).body
    show_one(here, found, OPERATIONS["verifyRecords"].answer)
    return 0 if found["valid"] else INVALID


declare(audit, "verify", "verifyRecords", "Check the seals of the records, to the end.", act=_verify)


def _export(here: Session, request: Request) -> None:
    from tocsin.cli.output.formats import as_json

    named = {"from": "since", "to": "until"}
    query = {named.get(name, name): value for name, value in request.query.items()}
    at_most = query.pop("limit", None)
    for one in islice(here.client.audit.export(**query), at_most):
        click.echo(as_json(one.to_dict(), indent=None))


declare(audit, "export", "exportRecords", "The same records as JSON lines; all of them.", act=_export)
declare(audit, "replay", "replayRecord", "Dispatch it once more.", asks="Send what {record_id} was once more?")
declare(
    audit,
    "replay-all",
    "replayRecords",
    "Dispatch what matches once more; --preview only says what that would be.",
    members=(*_FILTERS, "chain_id", "from", "to", "limit", "preview", "include_replays", "cursor"),
    asks="Send all of this once more?",
)
