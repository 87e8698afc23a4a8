"""Block an address at a firewall. This example only logs the rule that it would set."""

import hashlib
import ipaddress
import logging
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from tocsin.actions import Context, action

logger = logging.getLogger(__name__)


@action()
def block_ip(
    ip: Annotated[str, "IPv4 or IPv6 address"],
    duration_hours: Annotated[int, "how long the rule stays, 1 to 720"] = 24,
    reason: str = "",
    *,
    context: Context,
) -> dict[str, Any]:
    """Block an IP address for some hours."""
    address = ipaddress.ip_address(ip)
    if address.is_loopback or address.is_unspecified:
        raise ValueError(f"{address} is this machine itself and is never blocked")
    if not 1 <= duration_hours <= 720:  # noqa: PLR2004 - as the description says
        raise ValueError("duration_hours must be between 1 and 720")
    # Every attempt of an execution has the same key and so the same rule: a retry does not add a second one.
    number = hashlib.sha256(f"{context.idempotency_key}/{address}".encode()).hexdigest()[:10]
    expires_at = datetime.now(UTC) + timedelta(hours=duration_hours)
    logger.info("rule fw-%s blocks %s until %s", number, address, expires_at.isoformat(timespec="seconds"))
    return {
        "rule_id": f"fw-{number}",
        "blocked": True,
        "ip": str(address),
        "reason": reason,
        "expires_at": expires_at.isoformat(timespec="seconds"),
    }
