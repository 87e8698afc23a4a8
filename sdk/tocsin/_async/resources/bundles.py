"""Bundles: custom actions as uploaded versions, with the hosts and secrets that they may use."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Optional, Union

from tocsin import models
from tocsin._async.pages import AsyncPages
from tocsin._async.resource import AsyncResource
from tocsin._operation import operation

_ZIP = "application/zip"


def _content(archive: Union[bytes, str, Path]) -> bytes:
    """The bytes of an archive, which has 8 MiB at most."""
    return archive if isinstance(archive, bytes) else Path(archive).read_bytes()


class AsyncBundles(AsyncResource):
    """Bundles of custom actions, their versions and secrets."""

    @operation("listBundles")
    def list(
        self,
        *,
        page: Optional[int] = None,
        per_page: Optional[int] = None,
        limit: Optional[int] = None,
        cursor: Optional[str] = None,
    ) -> AsyncPages[models.Bundle]:
        """The bundles by name, each with its active version."""
        query: Dict[str, Any] = {"page": page, "per_page": per_page, "limit": limit, "cursor": cursor}
        return self._list("listBundles", models.Bundle, query=query)

    @operation("getBundle")
    async def get(self, name: str) -> models.Bundle:
        """One bundle, with the functions and secrets of its active version."""
        return await self._one("getBundle", models.Bundle, {"bundle_name": name})

    @operation("pushBundle")
    async def push(
        self,
        archive: Union[bytes, str, Path],
        *,
        dry_run: Optional[bool] = None,
        activate: Optional[bool] = None,
        force: Optional[bool] = None,
    ) -> models.BundlePushed:
        """Push an archive, given as bytes or by its path; ``changes`` says what differs from the active version."""
        content = _content(archive)
        query: Dict[str, Any] = {"dry_run": dry_run, "activate": activate, "force": force}
        return await self._one("pushBundle", models.BundlePushed, query=query, body=content, kind=_ZIP)

    @operation("activateBundle")
    async def activate(self, name: str, version: str, *, force: bool = False) -> models.BundleVersion:
        """Make a stored version the active one, forward or back."""
        body = {"version": version, "force": force}
        return await self._one("activateBundle", models.BundleVersion, {"bundle_name": name}, body=body)

    @operation("listBundleVersions")
    def versions(
        self,
        name: str,
        *,
        page: Optional[int] = None,
        per_page: Optional[int] = None,
        limit: Optional[int] = None,
        cursor: Optional[str] = None,
    ) -> AsyncPages[models.BundleVersion]:
        """The versions of a bundle, the newest first."""
        query: Dict[str, Any] = {"page": page, "per_page": per_page, "limit": limit, "cursor": cursor}
        return self._list("listBundleVersions", models.BundleVersion, {"bundle_name": name}, query)

    @operation("getBundleVersion")
    async def version(self, name: str, version: str) -> models.BundleVersion:
        """One version, with its functions and secrets."""
        path = {"bundle_name": name, "bundle_version": version}
        return await self._one("getBundleVersion", models.BundleVersion, path)

    @operation("deleteBundle")
    async def delete(self, name: str, *, force: Optional[bool] = None) -> None:
        """Delete a bundle with its versions, actions and secrets."""
        await self._nothing("deleteBundle", {"bundle_name": name}, {"force": force})

    @operation("deleteBundleVersion")
    async def delete_version(self, name: str, version: str) -> None:
        """Delete a version that is not the active one."""
        await self._nothing("deleteBundleVersion", {"bundle_name": name, "bundle_version": version})

    @operation("putBundleSecret")
    async def put_secret(self, name: str, secret: str, value: str) -> None:
        """Give a secret its value, which is never shown."""
        path = {"bundle_name": name, "secret_name": secret}
        await self._nothing("putBundleSecret", path, body={"value": value})

    @operation("deleteBundleSecret")
    async def delete_secret(self, name: str, secret: str) -> None:
        """Forget the value of a secret."""
        await self._nothing("deleteBundleSecret", {"bundle_name": name, "secret_name": secret})
