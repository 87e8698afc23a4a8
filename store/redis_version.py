"""Which Redis and Valkey servers may be trusted: in older ones a client that may send commands can run code.

The bounds are the releases that close CVE-2025-49844 (Lua, a use after free) and with it all that was found before:
https://redis.io/blog/security-advisory-cve-2025-49844/, https://github.com/valkey-io/valkey/releases. Nothing here
talks to a server: ``store.redis`` asks one that runs, the launcher one that it would start.
"""

import re
from dataclasses import dataclass

Number = tuple[int, int, int]

#: server → the first sound release of each series that is still mended; newer series are sound from the start
_SOUND: dict[str, tuple[Number, ...]] = {
    "redis": ((6, 2, 20), (7, 2, 11), (7, 4, 6), (8, 0, 4), (8, 2, 2)),
    "valkey": ((7, 2, 11), (8, 0, 6), (8, 1, 4)),
}
#: for people: what to update to
ADVICE = "Valkey 8.1.4 or Redis 8.2.2 or newer (or 6.2.20, 7.2.11, 7.4.6, 8.0.4 of their series)"

_NUMBER = re.compile(r"(\d+)\.(\d+)\.(\d+)")
_PRINTED = re.compile(r"(Redis|Valkey) server v=(\S+)")


@dataclass(frozen=True, slots=True)
class Server:
    """A server's kind (``redis`` or ``valkey``) and its version as it tells them."""

    kind: str
    version: str

    def __str__(self) -> str:
        return f"{self.kind.capitalize()} {self.version}"

    @property
    def sound(self) -> bool:
        """Whether its release closes the known holes; a version of another form counts as sound."""
        found = _NUMBER.match(self.version)
        bounds = _SOUND.get(self.kind)
        if not found or not bounds:
            return True
        number = (int(found[1]), int(found[2]), int(found[3]))
        series = [bound for bound in bounds if bound[:2] == number[:2]]
        return number >= series[0] if series else number > bounds[-1]


def printed(text: str) -> Server | None:
    """What ``redis-server --version`` or ``valkey-server --version`` says; None when it is neither's answer."""
    found = _PRINTED.search(text)
    return Server(found[1].lower(), found[2]) if found else None


def told(info: dict[str, object]) -> Server:
    """What the command ``INFO server`` says; Valkey reports its own version next to that of the Redis it resembles."""
    if "valkey_version" in info:
        return Server("valkey", str(info["valkey_version"]))
    return Server("redis", str(info.get("redis_version", "")))
