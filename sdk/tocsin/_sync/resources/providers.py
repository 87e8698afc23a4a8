# Made by sdk/tools/sync.py from tocsin/_async/resources/providers.py; do not edit.
"""Providers with their circuit breakers, and the stop of all that goes out."""

from __future__ import annotations

from typing import Any, Mapping, Optional

from tocsin import models
from tocsin._sync.pages import Pages
from tocsin._sync.resource import Resource
from tocsin._sync.resources.dispatch import preferring
from tocsin._operation import operation
from tocsin._values import body_of


class Providers(Resource):
    """Named, configured ways out."""

    @operation("listProviders")
    def list(self) -> Pages[models.Provider]:
        """The providers."""
        return self._list("listProviders", models.Provider)

    @operation("getProviderHealth")
    def health(self) -> models.Healths:
        """How each has answered lately."""
        return self._one("getProviderHealth", models.Healths)

    @operation("testProvider")
    def test(
        self,
        provider: str,
        *,
        tenant: Optional[str] = None,
        action_type: Optional[str] = None,
        payload: Optional[Mapping[str, Any]] = None,
        wait: Optional[int] = None,
    ) -> models.Outcome:
        """Send a test by it, past the rules."""
        body = body_of({"tenant": tenant, "action_type": action_type, "payload": payload})
        return self._one(
            "testProvider", models.Outcome, {"provider": provider}, body=body, headers=preferring(wait)
        )


class Breakers(Resource):
    """Circuit breakers: what keeps calls from a provider that fails."""

    @operation("listBreakers")
    def list(self) -> Pages[models.Breaker]:
        """The circuit breakers with their states."""
        return self._list("listBreakers", models.Breaker)

    @operation("tripBreaker")
    def trip(self, provider: str) -> models.Turned:
        """Open it: nothing goes out by this provider."""
        return self._one("tripBreaker", models.Turned, {"provider": provider})

    @operation("resetBreaker")
    def reset(self, provider: str) -> models.Turned:
        """Close it: calls go out again."""
        return self._one("resetBreaker", models.Turned, {"provider": provider})


class Stop(Resource):
    """The stop: nothing of a tenant, or of all, goes out."""

    @operation("stopOutwardCalls")
    def set(self, reason: str, *, tenant: Optional[str] = None) -> models.Stopped:
        """Let nothing go out, of a tenant or of all."""
        return self._one("stopOutwardCalls", models.Stopped, body=body_of({"reason": reason, "tenant": tenant}))

    @operation("liftStop")
    def lift(self, *, tenant: Optional[str] = None) -> models.Stopped:
        """Let things go out again."""
        return self._one("liftStop", models.Stopped, query={"tenant": tenant})
