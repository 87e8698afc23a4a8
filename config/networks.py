"""The networks by which callers are counted that show nothing else of themselves."""

import ipaddress

#: the part of an IPv6 address that one customer of a provider has
_PREFIX = 64


def network(address: str) -> str:
    """The address itself, for IPv6 its network; of what is no address the text.

    One machine has all addresses of an IPv6 network to choose from.
    """
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    ip = getattr(ip, "ipv4_mapped", None) or ip
    return str(ip) if ip.version == 4 else str(ipaddress.ip_network((int(ip), _PREFIX), strict=False))  # noqa: PLR2004
