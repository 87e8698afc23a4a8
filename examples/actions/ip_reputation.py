"""Score an address by the kind of network it belongs to, without any outside call."""

import ipaddress
from typing import Annotated, Any

from tocsin.actions import Context, action

# (property of the address, verdict, score from 0 = trusted to 100 = hostile); the first match counts
CLASSES = (
    ("is_loopback", "loopback", 0),
    ("is_link_local", "link-local", 10),
    ("is_multicast", "multicast", 20),
    ("is_private", "private", 10),
    ("is_reserved", "reserved", 60),
    ("is_global", "public", 50),
)


@action()
def ip_reputation(
    ip: Annotated[str, "IPv4 or IPv6 address"],
    known_bad: Annotated[list[str] | None, "addresses or networks (CIDR) that are known to be hostile"] = None,
    *,
    context: Context,
) -> dict[str, Any]:
    """Score an IP address by its network class and a list of known bad networks."""
    address = ipaddress.ip_address(ip)
    for network in known_bad or []:
        if address in ipaddress.ip_network(network, strict=False):
            context.log(f"{address} is in {network}", "WARNING")
            return {"ip": str(address), "class": "known-bad", "score": 100, "malicious": True, "network": network}
    name, score = next(((name, score) for test, name, score in CLASSES if getattr(address, test)), ("other", 50))
    context.log(f"{address} is {name}")
    return {"ip": str(address), "class": name, "score": score, "malicious": False, "network": None}
