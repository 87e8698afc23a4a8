# Made by sdk/tools/sync.py from tocsin/_async/resources/playbooks.py; do not edit.
"""Playbooks: define, version, import, export and run them."""

from __future__ import annotations

from typing import Any, ClassVar, Dict, Mapping, Optional

from tocsin import models
from tocsin._sync.defining import Definitions
from tocsin._sync.handles import RunHandle, run_of
from tocsin._sync.pages import Pages
from tocsin._operation import operation
from tocsin._values import Definition, Many, When, body_of, parsed


class Playbooks(Definitions[models.Playbook]):
    """Combinations of actions: in sequence, in parallel, under conditions."""

    _operations: ClassVar[Mapping[str, str]] = {
        "create": "createPlaybook",
        "replace": "replacePlaybook",
        "list": "listPlaybooks",
    }
    _named, _into, _yaml = "playbook_id", models.Playbook, True

    @operation("listPlaybooks")
    def list(
        self,
        *,
        search: Optional[str] = None,
        tag: Optional[str] = None,
        trigger: Optional[str] = None,
        enabled: Optional[bool] = None,
        sort_by: Optional[str] = None,
        sort_order: Optional[str] = None,
        limit: Optional[int] = None,
        cursor: Optional[str] = None,
        page: Optional[int] = None,
        per_page: Optional[int] = None,
    ) -> Pages[models.PlaybookItem]:
        """The playbooks, without their steps, the newest first."""
        query: Dict[str, Any] = {
            "search": search,
            "tag": tag,
            "trigger": trigger,
            "enabled": enabled,
            "sort_by": sort_by,
        }
        query.update(sort_order=sort_order, limit=limit, cursor=cursor, page=page, per_page=per_page)
        return self._list("listPlaybooks", models.PlaybookItem, query=query)

    @operation("getPlaybook")
    def get(self, playbook_id: str) -> models.Playbook:
        """One playbook, as it is now."""
        return self._one("getPlaybook", models.Playbook, {"playbook_id": playbook_id})

    @operation("createPlaybook")
    def create(self, definition: Definition, *, idempotency_key: Optional[str] = None) -> models.Playbook:
        """Create a playbook."""
        return self._write("createPlaybook", models.Playbook, definition, key=idempotency_key)

    @operation("replacePlaybook")
    def replace(
        self, playbook_id: str, definition: Definition, *, if_match: Optional[str] = None
    ) -> models.Playbook:
        """Replace its definition, which makes a version; with ``if_match`` only the state with that ``etag``."""
        path: Dict[str, Any] = {"playbook_id": playbook_id}
        return self._write("replacePlaybook", models.Playbook, definition, path, if_match=if_match)

    @operation("changePlaybook")
    def change(
        self, playbook_id: str, changes: Mapping[str, Any], *, if_match: Optional[str] = None
    ) -> models.Playbook:
        """Change members of its definition; sent again after a lost answer only with ``if_match``."""
        return self._one(
            "changePlaybook",
            models.Playbook,
            {"playbook_id": playbook_id},
            body=dict(changes),
            headers={"If-Match": if_match},
        )

    @operation("deletePlaybook")
    def delete(self, playbook_id: str, *, force: Optional[bool] = None, if_match: Optional[str] = None) -> None:
        """Delete a playbook; ``force`` also where others start it."""
        self._nothing(
            "deletePlaybook", {"playbook_id": playbook_id}, {"force": force}, headers={"If-Match": if_match}
        )

    @operation("validatePlaybook")
    def validate(self, definition: Definition) -> models.Verdict:
        """Check a definition, or a CACAO document, without storing it."""
        return self._write("validatePlaybook", models.Verdict, definition)

    @operation("enablePlaybook")
    def enable(self, playbook_id: str, *, if_match: Optional[str] = None) -> models.Playbook:
        """Let it be run again."""
        return self._one(
            "enablePlaybook", models.Playbook, {"playbook_id": playbook_id}, headers={"If-Match": if_match}
        )

    @operation("disablePlaybook")
    def disable(self, playbook_id: str, *, if_match: Optional[str] = None) -> models.Playbook:
        """Let it no longer be run."""
        return self._one(
            "disablePlaybook", models.Playbook, {"playbook_id": playbook_id}, headers={"If-Match": if_match}
        )

    @operation("listPlaybookVersions")
    def versions(
        self,
        playbook_id: str,
        *,
        limit: Optional[int] = None,
        cursor: Optional[str] = None,
        page: Optional[int] = None,
        per_page: Optional[int] = None,
        definitions: Optional[bool] = None,
    ) -> Pages[models.PlaybookVersionItem]:
        """Its versions, the newest first; without their definitions where ``definitions`` is False."""
        query: Dict[str, Any] = {"limit": limit, "cursor": cursor, "page": page, "per_page": per_page}
        query.update(definitions=definitions)
        return self._list("listPlaybookVersions", models.PlaybookVersionItem, {"playbook_id": playbook_id}, query)

    @operation("comparePlaybookVersions", old="from", new="to")
    def diff(self, playbook_id: str, old: str, new: Optional[str] = None) -> models.VersionDifference:
        """What differs between two versions; without ``new`` between ``old`` and the present one."""
        path: Dict[str, Any] = {"playbook_id": playbook_id}
        return self._one("comparePlaybookVersions", models.VersionDifference, path, {"from": old, "to": new})

    @operation("getPlaybookVersion")
    def version(self, playbook_id: str, version: str) -> models.PlaybookVersion:
        """One version, such as ``1.0.0``."""
        path = {"playbook_id": playbook_id, "version": version}
        return self._one("getPlaybookVersion", models.PlaybookVersion, path)

    @operation("restorePlaybookVersion")
    def restore(self, playbook_id: str, version: str, *, if_match: Optional[str] = None) -> models.Playbook:
        """Make an earlier version the present one again, as a new version."""
        path = {"playbook_id": playbook_id, "version": version}
        return self._one("restorePlaybookVersion", models.Playbook, path, headers={"If-Match": if_match})

    @operation("getPlaybookSchema")
    def schema(self) -> Any:
        """The JSON Schema of definitions, for editors."""
        return (self._transport.call("getPlaybookSchema")).body

    @operation("runPlaybook", target="target_asset_id")
    def run(
        self,
        playbook_id: str,
        parameters: Optional[Mapping[str, Any]] = None,
        *,
        target: Optional[str] = None,
        dry_run: Optional[bool] = None,
        idempotency_key: Optional[str] = None,
    ) -> RunHandle:
        """Run a playbook; returns as soon as the server has accepted it, which it never loses."""
        body = body_of({"parameters": dict(parameters or {}), "target_asset_id": target, "dry_run": dry_run})
        answer = self._transport.call("runPlaybook", {"playbook_id": playbook_id}, body=body, key=idempotency_key)
        return run_of(self._transport, answer)

    @operation("simulatePlaybook", target="target_asset_id")
    def simulate(
        self,
        definition: Optional[Definition] = None,
        *,
        playbook_id: Optional[str] = None,
        parameters: Optional[Mapping[str, Any]] = None,
        event: Optional[Mapping[str, Any]] = None,
        target: Optional[str] = None,
        mocks: Optional[Mapping[str, Any]] = None,
    ) -> models.PredictedRun:
        """What a run would do, of a draft or of a stored playbook; ``mocks`` has outputs or errors of steps.

        Nothing is stored and nothing is called.
        """
        draft = None if definition is None else parsed(definition)
        body = {"definition": draft, "playbook_id": playbook_id, "parameters": parameters, "event": event}
        return self._one(
            "simulatePlaybook",
            models.PredictedRun,
            body=body_of({**body, "target_asset_id": target, "mocks": mocks}),
        )

    @operation("listPlaybookRuns", target="target_asset_id")
    def runs(
        self,
        playbook_id: str,
        *,
        status: Optional[Many[models.RunStatus]] = None,
        target: Optional[str] = None,
        trigger: Optional[models.RunTrigger] = None,
        dry_run: Optional[bool] = None,
        event_id: Optional[str] = None,
        parent_id: Optional[str] = None,
        since: Optional[When] = None,
        until: Optional[When] = None,
        limit: Optional[int] = None,
        cursor: Optional[str] = None,
        page: Optional[int] = None,
        per_page: Optional[int] = None,
    ) -> Pages[models.RunItem]:
        """Its runs, the newest first."""
        query: Dict[str, Any] = {
            "status": status,
            "target_asset_id": target,
            "trigger": trigger,
            "dry_run": dry_run,
            "from": since,
        }
        query.update(to=until, limit=limit, cursor=cursor, page=page, per_page=per_page)
        query.update(event_id=event_id, parent_id=parent_id)
        return self._list("listPlaybookRuns", models.RunItem, {"playbook_id": playbook_id}, query)

    @operation("importPlaybook")
    def import_(
        self,
        document: Definition,
        *,
        dry_run: Optional[bool] = None,
        lenient: Optional[bool] = None,
        on_conflict: Optional[str] = None,
        idempotency_key: Optional[str] = None,
    ) -> models.Imported:
        """Import a CACAO document, or a definition; ``on_conflict`` is refuse, new_id or replace."""
        query: Dict[str, Any] = {"dry_run": dry_run, "lenient": lenient, "on_conflict": on_conflict}
        return self._write("importPlaybook", models.Imported, document, None, query, key=idempotency_key)

    @operation("exportPlaybook")
    def export(
        self,
        playbook_id: str,
        *,
        format: Optional[str] = None,  # noqa: A002 - the parameter's name
        include_secrets: Optional[bool] = None,
        sign: Optional[bool] = None,
    ) -> Any:
        """Its document: of ``cacao_v2`` and ``native`` a dict, of ``yaml`` the text."""
        query: Dict[str, Any] = {"format": format, "include_secrets": include_secrets, "sign": sign}
        answer = self._transport.call("exportPlaybook", {"playbook_id": playbook_id}, query)
        return answer.body
