"""The links of a notice, which are filled in when it is sent: nothing that is stored has them."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

from config.times import stamp
from providers.base import Abandoned
from store.engine import db
from store.gateway import approvals
from tasks.attempts.patience import with_patience
from tasks.policy import approval_links


def filled_in(given: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """A notice with its links, and what of them is masked wherever the attempt reports.

    The signatures are masked by themselves: a receiver may answer with a link that is quoted in its own way.

    Raises:
        Abandoned: the database stayed away.
    """
    payload = given.get("payload")
    wanted = payload.get("approval_id") if isinstance(payload, dict) else None
    if not isinstance(payload, dict) or not isinstance(wanted, str):
        return given, {}
    found = with_patience(lambda: (db.read_one(approvals.read, wanted),))
    if found is None:
        raise Abandoned
    row = found[0]
    if row is None or row.workspace_id != payload.get("tenant"):
        return given, {}
    links = approval_links.urls(row, str(payload.get("recipient")))
    lines = [row.message, f"Approve: {links['approve_url']}", f"Reject: {links['reject_url']}"]
    lines.append(f"It is open until {stamp(row.expires_at)}.")
    told = {**links, "text": "\n".join(lines), "expires_at": stamp(row.expires_at)}
    signatures = {name: dict(parse_qsl(urlsplit(link).query))["sig"] for name, link in links.items()}
    return {**given, "payload": {**payload, **told}}, links | {f"{name} sig": sig for name, sig in signatures.items()}
