"""Maintenance and ``python -m launcher.reseal`` mask what earlier versions stored in clear."""

import json
import secrets
from typing import Any

import pytest
import sqlalchemy as sa

from launcher import reseal as command
from store.definitions import actions
from store.definitions.actions import action_revisions
from store.engine import db
from store.executions import transitions
from tasks.attempts import action
from tasks.clock import seals
from tasks.definitions import revisions
from tasks.entrypoints import maintenance
from tasks.secrets import remask, reseal
from tasks.secrets import sealing as config_secrets
from tests.support.api import Door
from tests.support.credentials import read_everywhere, stored

URL = "https://api.example.com/v1/report"
TABLE = transitions.executions
LINE = {"timestamp": "2026-04-28T12:00:00.000Z", "level": "INFO"}
REPORT = {"commands_executed": [], "output": None}


@pytest.fixture
def everywhere(database: str) -> Door:
    """The application on each kind of database."""
    return Door()


class Past:
    """An action as an earlier version has stored it, and what it has kept of its executions."""

    def __init__(self, door: Door, number: int = 0) -> None:
        self.values = [f"k{secrets.token_hex(16)}Z" for _ in range(3)]
        key, query, member = self.values
        config = {
            "url": f"{URL}?api_key={query}",
            "headers": {"x-apikey": key, "Authorization": "Bearer known-already-1"},
            "body": {"auth": {"secret": member}, "sent": {"secret": "{{ execution.id }}"}},
        }
        self.config = json.loads(json.dumps(config))
        self.id = door.create(name=f"Past {number}", config={"url": URL, "headers": {"Authorization": "x"}})["id"]
        config["headers"]["Authorization"] = "********"  # the one name that was known
        with db.write() as connection:
            revision = actions.get(connection, "default", self.id).revision
            definition = {**revision.definition, "config": config}
            sealed = config_secrets.sealed_config(
                "default", revision.id, definition, {"headers/Authorization": "Bearer known-already-1"}
            )
            changes = {"definition": json.dumps(definition), "sealed": sealed, "rules": 0}
            connection.execute(
                sa.update(action_revisions).where(action_revisions.c.id == revision.id).values(**changes)
            )
        self.executions = [door.trigger(self.id, sandbox=True) for _ in range(3)]
        kept = {"output": {"echo": [f"you sent {key}"]}, "logs": [{**LINE, "message": f"GET {URL}?api_key={query}"}]}
        kept["report"] = {**REPORT, "intercepted_calls": [{"headers": {"x-apikey": key}, "body": {"auth": member}}]}
        with db.write() as connection:
            for execution_id in self.executions:
                values = {name: json.dumps(value) for name, value in kept.items()}
                ended = {"status": "completed", "completed_at": 1, "due_at": None}
                connection.execute(TABLE.update().where(TABLE.c.id == execution_id).values(**values, **ended))

    def as_sent(self) -> dict[str, Any]:
        """The config as its executor reads it now."""
        with db.read() as connection:
            revision = actions.get(connection, "default", self.id).revision
        opened = config_secrets.opened_config("default", revision)
        return config_secrets.restore_secrets(dict(revision.definition["config"]), opened)

    def seen(self, door: Door) -> list[str]:
        """Where any of its values still stands."""
        paths = [f"/api/actions/{self.id}", f"/api/actions/{self.id}/versions", "/api/actions/executions"]
        paths += [f"/api/actions/executions/{one}" for one in self.executions]
        shown = read_everywhere(door, paths) | stored()
        return [place for place, text in shown.items() if any(value in text for value in self.values)]


def test_what_was_kept_in_clear_is_masked_and_sent_as_before(everywhere: Door) -> None:
    """Revisions, and plans, reports, outputs and logs of their executions; on SQLite to the last byte of the file."""
    past = Past(everywhere)
    assert past.seen(everywhere)
    broken, finished = command.renew()
    assert (finished, any(broken.values())) == (True, False)
    assert past.seen(everywhere) == []
    assert past.as_sent() == past.config
    read = everywhere.call("GET", f"/api/actions/{past.id}").json["data"]["config"]
    changed = everywhere.call("PATCH", f"/api/actions/{past.id}", json={"config": {**read, "method": "PUT"}})
    assert changed.status_code == 200, changed.text
    assert past.as_sent() == {**past.config, "method": "PUT"}


def test_maintenance_masks_by_itself_and_finds_nothing_a_second_time(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The operator has to start nothing; a second round changes nothing."""
    past = Past(door)
    monkeypatch.setattr(seals, "renewal", seals.Renewal())
    maintenance.maintain()
    assert past.seen(door) == []
    assert [bite.done for _, bite in reseal.walk()] == [0] * len(reseal.ALL)


def test_a_round_that_is_stopped_anywhere_begins_again(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bite by bite, forgetting each time where it was; what another has masked meanwhile is left as it is."""
    monkeypatch.setattr(remask, "_EXECUTIONS", 2)
    monkeypatch.setattr(remask, "_BITE", 1)
    pasts = [Past(door, number) for number in range(3)]
    for _ in range(3):
        assert remask.configs("").done == 1
    assert remask.configs("").done == 0
    for _ in range(2):  # a round that does not get to the end of the first one's executions
        remask.executions("")
    after = ""
    for _ in range(20):
        after = remask.executions(after).after
        if not after:
            break
    assert [past.seen(door) for past in pasts] == [[], [], []]


def test_a_revision_that_is_not_masked_yet_is_not_remembered(door: Door) -> None:
    """A worker that has used one before the round extracts secrets by the present rules afterwards."""
    past = Past(door)
    with db.read() as connection:
        revision_id = actions.get(connection, "default", past.id).revision.id
    assert past.values[0] in str(revisions.action(revision_id).definition)
    command.renew()
    assert past.values[0] not in str(revisions.action(revision_id).definition)
    execution_id = door.trigger(past.id, dry_run=True)
    assert action.attempt(execution_id).status == "completed"
    shown = door.call("GET", f"/api/actions/executions/{execution_id}").text
    assert not any(value in shown for value in past.values)


def test_what_holds_nothing_stays_to_the_letter(door: Door) -> None:
    """A config without credentials is only noted as looked at."""
    action_id = door.create(config={"url": URL, "body": {"a": "{{ execution.id }}"}})["id"]
    with db.write() as connection:
        before = actions.get(connection, "default", action_id).revision
        connection.execute(sa.update(action_revisions).values(rules=0))
    command.renew()
    with db.read() as connection:
        assert actions.get(connection, "default", action_id).revision == before
