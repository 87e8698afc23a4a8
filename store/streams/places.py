"""Places for open streams, counted over all processes in Redis.

Each owner (a tenant, or a caller of several) has a sorted set of its streams with the times until which they count. A
process renews those of its own; the places of one that has vanished lapse. A Redis that was emptied has them back with
the next renewal.
"""

from collections.abc import Collection, Mapping

from store import redis

#: how long a place counts that is not renewed, ms
LEASE = 6_000

_PREFIX = "tocsin:streams:"
_TAKE = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3] * 2)
return 1
"""
_RENEW = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
for number = 2, #ARGV do redis.call('ZADD', KEYS[1], now + ARGV[1], ARGV[number]) end
redis.call('PEXPIRE', KEYS[1], ARGV[1] * 2)
"""


def take(owner: str, stream: str, most: int) -> bool:
    """Take one of ``most`` places of an owner; whether there was one.

    Raises:
        RedisError: Redis cannot be asked.
    """
    return bool(redis.client().eval(_TAKE, 1, _PREFIX + owner, stream, str(most), str(LEASE)))


def renew(streams: Mapping[str, Collection[str]]) -> None:
    """Renew the places of these owners' streams.

    Raises:
        RedisError: Redis cannot be asked.
    """
    with redis.client().pipeline(transaction=False) as pipeline:
        for owner, mine in streams.items():
            pipeline.eval(_RENEW, 1, _PREFIX + owner, str(LEASE), *mine)
        pipeline.execute()


def leave(owner: str, stream: str) -> None:
    """Give a place back.

    Raises:
        RedisError: Redis cannot be asked.
    """
    redis.client().zrem(_PREFIX + owner, stream)
