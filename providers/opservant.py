"""Executor ``opservant``: a job that an agent inside a network fetches.

Until agents exist an action may be defined for one, but not triggered (``no_agent``).
"""

from collections.abc import Mapping
from typing import Any

from config.errors import Problem
from config.types import Json
from providers.base import Call, ProviderError

#: the usual names, until agents say what is secret to them
SECRETS = ("password", "secret", "token", "api_key", "routing_key")
ON_LOOP = True


def check(config: Mapping[str, Any], names: set[str]) -> list[Problem]:  # noqa: ARG001 - the protocol's shape
    """Returns no faults: any config is kept for the agent."""
    return []


def plan(call: Call) -> Json:
    """The config and parameters that an agent would get."""
    return {"executor": "opservant", "config": dict(call.config), "parameters": dict(call.parameters)}


def perform(call: Call) -> Any:  # noqa: ARG001
    """Not available yet.

    Raises:
        ProviderError: always; dispatch refuses such a trigger before it comes to this.
    """
    raise ProviderError("no_agent", "No agent is connected that could do this.")
