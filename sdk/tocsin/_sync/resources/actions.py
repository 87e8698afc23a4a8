# Made by sdk/tools/sync.py from tocsin/_async/resources/actions.py; do not edit.
"""Actions: define, version and trigger them."""

from __future__ import annotations

from typing import Any, ClassVar, Dict, Mapping, Optional

from tocsin import models
from tocsin._sync.defining import Definitions
from tocsin._sync.handles import ExecutionHandle, execution_of
from tocsin._sync.pages import Pages
from tocsin._operation import operation
from tocsin._values import Definition, Many, When, body_of


class Actions(Definitions[models.Action]):
    """Operations that can be carried out, such as blocking an address."""

    _operations: ClassVar[Mapping[str, str]] = {
        "create": "createAction",
        "replace": "replaceAction",
        "list": "listActions",
    }
    _named, _into, _yaml = "action_id", models.Action, False

    @operation("listActions")
    def list(
        self,
        *,
        type: Optional[Many[models.ActionType]] = None,  # noqa: A002 - the parameter's name
        executor: Optional[Many[models.ActionExecutor]] = None,
        search: Optional[str] = None,
        enabled: Optional[bool] = None,
        sort_by: Optional[str] = None,
        sort_order: Optional[str] = None,
        limit: Optional[int] = None,
        cursor: Optional[str] = None,
        page: Optional[int] = None,
        per_page: Optional[int] = None,
    ) -> Pages[models.Action]:
        """The actions, the newest first."""
        query: Dict[str, Any] = {
            "type": type,
            "executor": executor,
            "search": search,
            "enabled": enabled,
            "sort_by": sort_by,
        }
        query.update(sort_order=sort_order, limit=limit, cursor=cursor, page=page, per_page=per_page)
        return self._list("listActions", models.Action, query=query)

    @operation("getAction")
    def get(self, action_id: str) -> models.Action:
        """One action, as it is now."""
        return self._one("getAction", models.Action, {"action_id": action_id})

    @operation("createAction")
    def create(self, definition: Definition, *, idempotency_key: Optional[str] = None) -> models.WrittenAction:
        """Create an action; ``warnings`` of the answer say what is likely a mistake."""
        return self._write("createAction", models.WrittenAction, definition, key=idempotency_key)

    @operation("replaceAction")
    def replace(
        self,
        action_id: str,
        definition: Definition,
        *,
        force: Optional[bool] = None,
        if_match: Optional[str] = None,
    ) -> models.WrittenAction:
        """Replace its definition, which makes a version; with ``if_match`` only the state with that ``etag``."""
        return self._write(
            "replaceAction", models.WrittenAction, definition, {"action_id": action_id}, {"force": force}, if_match
        )

    @operation("changeAction")
    def change(
        self,
        action_id: str,
        changes: Mapping[str, Any],
        *,
        force: Optional[bool] = None,
        if_match: Optional[str] = None,
    ) -> models.WrittenAction:
        """Change members of its definition; sent again after a lost answer only with ``if_match``."""
        return self._one(
            "changeAction",
            models.WrittenAction,
            {"action_id": action_id},
            {"force": force},
            body=dict(changes),
            headers={"If-Match": if_match},
        )

    @operation("deleteAction")
    def delete(self, action_id: str, *, force: Optional[bool] = None, if_match: Optional[str] = None) -> None:
        """Delete an action; ``force`` also where playbooks use it."""
        self._nothing("deleteAction", {"action_id": action_id}, {"force": force}, headers={"If-Match": if_match})

    @operation("validateAction")
    def validate(self, definition: Definition) -> models.Verdict:
        """Check a definition without storing it: ``valid``, ``errors`` and ``warnings``."""
        return self._write("validateAction", models.Verdict, definition)

    @operation("enableAction")
    def enable(self, action_id: str, *, if_match: Optional[str] = None) -> models.Action:
        """Let it be triggered again."""
        return self._one("enableAction", models.Action, {"action_id": action_id}, headers={"If-Match": if_match})

    @operation("disableAction")
    def disable(
        self, action_id: str, *, force: Optional[bool] = None, if_match: Optional[str] = None
    ) -> models.Action:
        """Let it no longer be triggered; ``force`` also where playbooks use it."""
        return self._one(
            "disableAction",
            models.Action,
            {"action_id": action_id},
            {"force": force},
            headers={"If-Match": if_match},
        )

    @operation("listActionVersions")
    def versions(
        self,
        action_id: str,
        *,
        limit: Optional[int] = None,
        cursor: Optional[str] = None,
        page: Optional[int] = None,
        per_page: Optional[int] = None,
        definitions: Optional[bool] = None,
    ) -> Pages[models.VersionItem]:
        """Its versions, the newest first; without their definitions where ``definitions`` is False."""
        query: Dict[str, Any] = {"limit": limit, "cursor": cursor, "page": page, "per_page": per_page}
        query.update(definitions=definitions)
        return self._list("listActionVersions", models.VersionItem, {"action_id": action_id}, query)

    @operation("getActionVersion")
    def version(self, action_id: str, version: str) -> models.Version:
        """One version, such as ``1.0.0``."""
        path = {"action_id": action_id, "version": version}
        return self._one("getActionVersion", models.Version, path)

    @operation("restoreActionVersion")
    def restore(self, action_id: str, version: str, *, if_match: Optional[str] = None) -> models.WrittenAction:
        """Make an earlier version the present one again, as a new version."""
        path = {"action_id": action_id, "version": version}
        return self._one("restoreActionVersion", models.WrittenAction, path, headers={"If-Match": if_match})

    @operation("getActionSchema")
    def schema(self) -> Any:
        """The JSON Schema of definitions, for editors."""
        return (self._transport.call("getActionSchema")).body

    @operation("compareActionVersions", old="from", new="to")
    def diff(self, action_id: str, old: str, new: Optional[str] = None) -> models.VersionDifference:
        """What differs between two versions; without ``new`` between ``old`` and the present one."""
        path = {"action_id": action_id}
        return self._one("compareActionVersions", models.VersionDifference, path, {"from": old, "to": new})

    @operation("triggerAction")
    def trigger(
        self,
        action_id: str,
        parameters: Optional[Mapping[str, Any]] = None,
        *,
        target: Optional[str] = None,
        sandbox: Optional[bool] = None,
        dry_run: Optional[bool] = None,
        idempotency_key: Optional[str] = None,
    ) -> ExecutionHandle:
        """Trigger an action; returns as soon as the server has accepted it, which it never loses.

        ``dry_run`` shows what would be sent, ``sandbox`` records outside calls instead of making them.
        """
        body = body_of({"parameters": dict(parameters or {}), "target": target, "sandbox": sandbox, "dry_run": dry_run})
        answer = self._transport.call("triggerAction", {"action_id": action_id}, body=body, key=idempotency_key)
        return execution_of(self._transport, answer)

    @operation("listActionExecutions")
    def executions(
        self,
        action_id: str,
        *,
        status: Optional[Many[models.ExecutionStatus]] = None,
        target: Optional[str] = None,
        standalone: Optional[bool] = None,
        trigger: Optional[str] = None,
        since: Optional[When] = None,
        until: Optional[When] = None,
        limit: Optional[int] = None,
        cursor: Optional[str] = None,
        page: Optional[int] = None,
        per_page: Optional[int] = None,
    ) -> Pages[models.ExecutionItem]:
        """Its executions, the newest first."""
        query: Dict[str, Any] = {"status": status, "target": target, "from": since, "to": until}
        query.update(limit=limit, cursor=cursor, page=page, per_page=per_page)
        query.update(standalone=standalone, trigger=trigger)
        return self._list("listActionExecutions", models.ExecutionItem, {"action_id": action_id}, query)
