"""Which Redis and Valkey servers are sound enough to keep."""

import pytest

from store import redis_version
from store.redis_version import Server

MENDED = ["6.2.20", "6.2.21", "7.2.11", "7.4.6", "8.0.4", "8.2.2", "8.2.10", "8.4.0", "9.0.0"]


@pytest.mark.parametrize(
    "version", ["6.2.20", "6.2.21", "7.2.11", "7.4.6", "8.0.4", "8.2.2", "8.2.10", "8.4.0", "9.0.0"]
)
def test_a_redis_that_closes_the_known_holes_is_sound(version):
    """From the first mended release of each series on; what is newer than all of them is sound from the start."""
    assert Server("redis", version).sound


@pytest.mark.parametrize("version", ["2.8.0", "6.2.14", "6.2.19", "7.0.15", "7.2.10", "7.4.5", "8.0.3", "8.2.1"])
def test_an_older_redis_is_not(version):
    """A series without further fixes (7.0) is not sound either."""
    assert not Server("redis", version).sound


@pytest.mark.parametrize(("version", "sound"), [("7.2.10", False), ("8.0.6", True), ("8.1.3", False), ("9.1.2", True)])
def test_valkey_has_numbers_of_its_own(version, sound):
    """Valkey reports the Redis version that it is compatible with next to its own, which counts."""
    server = redis_version.reported({"redis_version": "7.2.4", "valkey_version": version})
    assert (server.kind, server.sound) == ("valkey", sound)


def test_a_program_says_which_server_it_is():
    """The first line of ``--version`` of either is understood; anything else is not taken for one."""
    assert redis_version.printed("Redis server v=7.0.15 sha=0:0 malloc=jemalloc") == Server("redis", "7.0.15")
    assert redis_version.printed("Valkey server v=9.1.2 sha=0:0 malloc=libc") == Server("valkey", "9.1.2")
    assert redis_version.printed("memcached 1.6") is None
