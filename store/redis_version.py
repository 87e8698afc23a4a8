"""Which Redis and Valkey versions may be trusted.

In older ones a client that may send commands can run code. The bounds are the releases that close CVE-2025-49844 (Lua,
a use after free) and with it all that was found before: https://redis.io/blog/security-advisory-cve-2025-49844/,
https://github.com/valkey-io/valkey/releases. Nothing here talks to a server: ``store.redis`` asks one that runs, the
launcher one that it would start.
"""

import re
from dataclasses import dataclass

Number = tuple[int, int, int]

#: server → the first sound release of each series that still gets fixes; newer series are sound from the start
_SOUND: dict[str, tuple[Number, ...]] = {
    "redis": ((6, 2, 20), (7, 2, 11), (7, 4, 6), (8, 0, 4), (8, 2, 2)),
    "valkey": ((7, 2, 11), (8, 0, 6), (8, 1, 4)),
}
#: the advice for operators
ADVICE = "Valkey 8.1.4 or Redis 8.2.2 or newer (or 6.2.20, 7.2.11, 7.4.6, 8.0.4 of their series)"

_NUMBER = re.compile(r"(\d+)\.(\d+)\.(\d+)")
_PRINTED = re.compile(r"(Redis|Valkey) server v=(\S+)")


@dataclass(frozen=True, slots=True)
class Server:
    """The kind of a server (``redis`` or ``valkey``) and its version."""

    kind: str
    version: str

    def __str__(self) -> str:
        return f"{self.kind.capitalize()} {self.version}"

    @property
    def sound(self) -> bool:
        """Whether its release closes the known vulnerabilities.

        A version of another form counts as sound.
        """
        found = _NUMBER.match(self.version)
        bounds = _SOUND.get(self.kind)
        if not found or not bounds:
            return True
        number = (int(found[1]), int(found[2]), int(found[3]))
        series = [bound for bound in bounds if bound[:2] == number[:2]]
        return number >= series[0] if series else number > bounds[-1]


def printed(text: str) -> Server | None:
    """The server that ``redis-server --version`` or ``valkey-server --version`` prints.

    None when the text is from neither.
    """
    found = _PRINTED.search(text)
    return Server(found[1].lower(), found[2]) if found else None


def reported(info: dict[str, object]) -> Server:
    """The server that the command ``INFO server`` reports.

    Valkey reports its own version next to that of the Redis it resembles.
    """
    if "valkey_version" in info:
        return Server("valkey", str(info["valkey_version"]))
    return Server("redis", str(info.get("redis_version", "")))
