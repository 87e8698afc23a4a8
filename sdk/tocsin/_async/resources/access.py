"""Who may call: keys, users, and the caller himself."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional, Sequence

from tocsin import models
from tocsin._async.pages import AsyncPages
from tocsin._async.resource import AsyncResource
from tocsin._operation import operation
from tocsin._values import When, body_of

Grants = Sequence[Mapping[str, Any]]


class AsyncKeys(AsyncResource):
    """API keys."""

    @operation("listKeys")
    def list(
        self,
        *,
        revoked: Optional[bool] = None,
        limit: Optional[int] = None,
        cursor: Optional[str] = None,
        page: Optional[int] = None,
        per_page: Optional[int] = None,
    ) -> AsyncPages[models.Key]:
        """The keys, without the keys themselves; ``revoked`` shows also those."""
        query: Dict[str, Any] = {
            "revoked": revoked,
            "limit": limit,
            "cursor": cursor,
            "page": page,
            "per_page": per_page,
        }
        return self._list("listKeys", models.Key, query=query)

    @operation("getKey")
    async def get(self, key_id: str) -> models.Key:
        """One key."""
        return await self._one("getKey", models.Key, {"key_id": key_id})

    @operation("createKey")
    async def create(
        self,
        name: str,
        *,
        role: Optional[str] = None,
        scopes: Optional[Sequence[str]] = None,
        grants: Optional[Grants] = None,
        expires_at: Optional[When] = None,
        idempotency_key: Optional[str] = None,
    ) -> models.FreshKey:
        """Create a key; only this answer has the ``key`` itself."""
        body: Dict[str, Any] = {
            "name": name,
            "role": role,
            "scopes": scopes,
            "grants": grants,
            "expires_at": expires_at,
        }
        return await self._one("createKey", models.FreshKey, body=body_of(body), key=idempotency_key)

    @operation("renameKey")
    async def rename(self, key_id: str, name: str) -> models.Key:
        """Give a key another name; what it may do never changes."""
        return await self._one("renameKey", models.Key, {"key_id": key_id}, body={"name": name})

    @operation("rotateKey")
    async def rotate(
        self,
        key_id: str,
        *,
        keep_hours: Optional[int] = None,
        expires_at: Optional[When] = None,
        replace: Optional[bool] = None,
        idempotency_key: Optional[str] = None,
    ) -> models.FreshKey:
        """Give a key another secret, which only this answer has; the one of before is valid for ``keep_hours`` more."""
        body = body_of({"keep_hours": keep_hours, "expires_at": expires_at, "replace": replace})
        return await self._one("rotateKey", models.FreshKey, {"key_id": key_id}, body=body, key=idempotency_key)

    @operation("revokeKey")
    async def revoke(self, key_id: str, *, force: Optional[bool] = None) -> None:
        """Revoke a key; ``force`` also the last one of an admin."""
        await self._nothing("revokeKey", {"key_id": key_id}, {"force": force})


class AsyncUsers(AsyncResource):
    """The people who sign in."""

    @operation("listUsers")
    def list(
        self,
        *,
        limit: Optional[int] = None,
        cursor: Optional[str] = None,
        page: Optional[int] = None,
        per_page: Optional[int] = None,
    ) -> AsyncPages[models.Account]:
        """The users."""
        query: Dict[str, Any] = {"limit": limit, "cursor": cursor, "page": page, "per_page": per_page}
        return self._list("listUsers", models.Account, query=query)

    @operation("getUser")
    async def get(self, username: str) -> models.Account:
        """One user."""
        return await self._one("getUser", models.Account, {"username": username})

    @operation("createUser")
    async def create(
        self,
        username: str,
        password: str,
        role: str,
        *,
        grants: Optional[Grants] = None,
        idempotency_key: Optional[str] = None,
    ) -> models.Account:
        """Create a user; ``role`` is admin, operator or viewer."""
        body = body_of({"username": username, "password": password, "role": role, "grants": grants})
        return await self._one("createUser", models.Account, body=body, key=idempotency_key)

    @operation("changeUser")
    async def change(
        self,
        username: str,
        *,
        password: Optional[str] = None,
        role: Optional[str] = None,
        grants: Optional[Grants] = None,
    ) -> models.Account:
        """Change what is given; it ends the user's sessions."""
        body = body_of({"password": password, "role": role, "grants": grants})
        return await self._one("changeUser", models.Account, {"username": username}, body=body)

    @operation("disableUser")
    async def disable(self, username: str) -> models.Account:
        """Keep the user from signing in."""
        return await self._one("disableUser", models.Account, {"username": username})

    @operation("enableUser")
    async def enable(self, username: str) -> models.Account:
        """Let the user sign in again."""
        return await self._one("enableUser", models.Account, {"username": username})


class AsyncMe(AsyncResource):
    """The caller."""

    @operation("getMe")
    async def get(self) -> models.Me:
        """Who calls, with what role, permissions and grants."""
        return await self._one("getMe", models.Me)

    @operation("login")
    async def sign_in(self, username: str, password: str) -> models.Token:
        """Sign in; the ``token`` takes the place of a key."""
        return await self._one("login", models.Token, body={"username": username, "password": password})

    @operation("logout")
    async def sign_out(self) -> models.LoggedOut:
        """End the session of the token that this client has."""
        return await self._one("logout", models.LoggedOut)

    @operation("changePassword")
    async def change_password(self, old: str, new: str) -> models.PasswordChanged:
        """Change the password of the user whose token this client has."""
        return await self._one("changePassword", models.PasswordChanged, body={"old": old, "new": new})
