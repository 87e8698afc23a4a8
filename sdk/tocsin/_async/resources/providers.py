"""Providers with their circuit breakers, and the stop of all that goes out."""

from __future__ import annotations

from typing import Any, Mapping, Optional

from tocsin import models
from tocsin._async.pages import AsyncPages
from tocsin._async.resource import AsyncResource
from tocsin._async.resources.dispatch import preferring
from tocsin._operation import operation
from tocsin._values import body_of


class AsyncProviders(AsyncResource):
    """Named, configured ways out."""

    @operation("listProviders")
    def list(self) -> AsyncPages[models.Provider]:
        """The providers."""
        return self._list("listProviders", models.Provider)

    @operation("getProviderHealth")
    async def health(self) -> models.Healths:
        """How each has answered lately."""
        return await self._one("getProviderHealth", models.Healths)

    @operation("testProvider")
    async def test(
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
        return await self._one(
            "testProvider", models.Outcome, {"provider": provider}, body=body, headers=preferring(wait)
        )


class AsyncBreakers(AsyncResource):
    """Circuit breakers: what keeps calls from a provider that fails."""

    @operation("listBreakers")
    def list(self) -> AsyncPages[models.Breaker]:
        """The circuit breakers with their states."""
        return self._list("listBreakers", models.Breaker)

    @operation("tripBreaker")
    async def trip(self, provider: str) -> models.Turned:
        """Open it: nothing goes out by this provider."""
        return await self._one("tripBreaker", models.Turned, {"provider": provider})

    @operation("resetBreaker")
    async def reset(self, provider: str) -> models.Turned:
        """Close it: calls go out again."""
        return await self._one("resetBreaker", models.Turned, {"provider": provider})


class AsyncStop(AsyncResource):
    """The stop: nothing of a tenant, or of all, goes out."""

    @operation("stopOutwardCalls")
    async def set(self, reason: str, *, tenant: Optional[str] = None) -> models.Stopped:
        """Let nothing go out, of a tenant or of all."""
        return await self._one("stopOutwardCalls", models.Stopped, body=body_of({"reason": reason, "tenant": tenant}))

    @operation("liftStop")
    async def lift(self, *, tenant: Optional[str] = None) -> models.Stopped:
        """Let things go out again."""
        return await self._one("liftStop", models.Stopped, query={"tenant": tenant})
