"""What the call of a provider needs beyond that of an action.

Its config refers to the environment of the worker, and a mock counts the calls of all processes.
"""

import functools
import itertools
from collections.abc import Callable, Mapping
from typing import Any

from redis.exceptions import RedisError

from config.settings import environment
from event_loop import loop
from gateway.configuration import environment as references
from gateway.facts import PROVIDER_PREFIX
from store import redis
from store.definitions.actions import Revision

#: calls of a provider are counted under this name and its revision, for so long after the last, seconds
CALLS, KEPT = "tocsin:calls:", 86_400


class MissingVariable(Exception):  # noqa: N818
    """The environment of this worker lacks a variable."""


def is_provider(revision: Revision) -> bool:
    """Whether a revision is a provider's, and no action's of the catalogue."""
    return not revision.workspace_id


def filled_in(config: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """A provider's config with the values of the environment, and these values.

    Raises:
        MissingVariable: the environment lacks one.
    """
    wanted = references.references(dict(config))
    if not wanted:
        return dict(config), []
    known = environment()
    for name in sorted(wanted):
        if not known.get(name):
            raise MissingVariable(f"The environment of this worker has no {name}, to which the provider refers.")
    return references.filled_in(dict(config), known), [known[name] for name in sorted(wanted)]


def parameters_of(revision: Revision, action_id: str, given: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a call.

    A provider that stands for an action of the catalogue is pinned as that action, which gets the payload.
    """
    if is_provider(revision) or not action_id.startswith(PROVIDER_PREFIX):
        return given
    payload = given.get("payload")
    return payload if isinstance(payload, dict) else {}


@functools.cache
def _local(_revision_id: str) -> "itertools.count[int]":
    return itertools.count(1)


def counting(revision_id: str) -> Callable[[], int]:
    """A function that counts a call of a provider.

    While Redis is away it counts those of this process.
    """

    def count() -> int:
        name = CALLS + revision_id
        try:
            with redis.client().pipeline(transaction=False) as pipeline:
                pipeline.incr(name)
                pipeline.expire(name, KEPT)
                return int(pipeline.execute()[0])
        except RedisError:
            return next(_local(revision_id))

    return functools.partial(loop.offload, count)
