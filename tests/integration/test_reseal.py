"""Resealing: under load, killed half-way, from an earlier form, and with what cannot be opened."""

import base64
import hashlib
import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet

from config.settings import settings
from launcher import reseal as command
from store import access
from store.definitions import actions, documents, playbooks
from store.engine import db
from store.executions import transitions
from store.ids import new_id
from store.schema import metadata
from store.sealing import seal, subkeys
from tasks.clock import seals
from tasks.definitions import actions as catalogue
from tasks.entrypoints import maintenance
from tasks.secrets import reseal
from tasks.secrets.sealing import opened_config, opened_parameters
from tests.support.processes import ROOT
from tests.support.waiting import eventually

CANARY = "canary-" + secrets.token_hex(12)
HELD = [
    (access.api_keys, access.api_keys.c.mac),
    (actions.action_revisions, actions.action_revisions.c.sealed),
    (documents.documents, documents.documents.c.sealed),
    (transitions.executions, transitions.executions.c.sealed),
]


class Installation:
    """A database with things sealed in it, and the keys that this process uses."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch
        self.old, self.new = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        self.use(self.old)
        with db.write() as connection:
            access.ensure_workspace(connection, "w", "W")
        self.caller = access.Caller(key_id="k", workspace_id="w", role="admin", permissions=access.ROLES["admin"])
        self.keys: list[str] = []

    def use(self, *keys: str, old: str = "open") -> None:
        """Have this process, and those that it starts, use these root keys."""
        self._patch.setenv("TOCSIN_SECRET_KEYS", ",".join(keys))
        self._patch.setenv("TOCSIN_SEALED_OLD", old)
        settings.cache_clear()

    def fill(self, number: int) -> None:
        """Seal something in every table, and the parameters of ``number`` executions."""
        self.keys.append(self.add_key())
        for each in range(5):
            config = {"url": f"https://{each}.example.com/", "headers": {"Authorization": CANARY}}
            wanted = {"name": f"a {new_id('x')}", "type": "webhook", "executor": "webhook", "config": config}
            catalogue.create(self.caller, wanted)
            self.add_document()
        self.add_executions(number)

    def add_key(self) -> str:
        """An API key."""
        with db.write() as connection:
            more = {"name": "k", "role": "viewer", "scopes": [], "expires_at": None, "actor": "test"}
            return access.create_key(connection, workspace_id="w", **more)[1]

    def add_document(self) -> None:
        """The document of a playbook, which has been deleted since."""
        uid, revision_id = new_id("uid"), new_id("rev")
        row = {"id": revision_id, "workspace_id": "w", "playbook_uid": uid, "playbook_id": "p", "version": "1.0.0"}
        more = {"definition": "{}", "created_at": 1, "created_by": "k"}
        kept = documents.ImportedDocument(
            revision_id=revision_id, modified="", digest="", document={"password": CANARY}
        )
        with db.write() as connection:
            connection.execute(sa.insert(playbooks.playbook_revisions).values(**row, **more))
            documents.keep(connection, "w", uid, kept)

    def add_executions(self, number: int, sealing: Callable[[seal.Cell], str | None] | None = None) -> list[str]:
        """Executions that wait, each with a secret parameter; returns their ids."""
        ids = [new_id("exec") for _ in range(number)]
        sealing = sealing or (lambda cell: seal.seal({"token": CANARY}, cell))
        row = {"workspace_id": "w", "action_id": "a", "revision_id": "rev", "queue": "steps", "mode": "live"}
        more = {"idempotent": True, "timeout_ms": 1000, "input": "{}", "created_by": "k", "created_at": db.now_ms()}
        state = {"kind": "action", "status": "pending", "attempt": 0, "failures": 0, "lapses": 0, "publishes": 1}
        rows = [
            {**row, **more, **state, "id": each, "sealed": sealing(seal.parameters_cell("w", each, "rev"))}
            for each in ids
        ]
        with db.write() as connection:
            transitions.add(connection, rows, "k")
        return ids

    def behind(self) -> dict[str, int]:
        """By table, how many values are not made with the first key."""
        found = {}
        with db.read() as connection:
            for table, held in HELD:
                texts = connection.execute(sa.select(held).where(held.is_not(None))).scalars()
                found[table.name] = sum(not seal.is_newest(text) for text in texts)
        return found

    def open_everything(self) -> int:
        """Open all that is sealed; returns how many values that were."""
        with db.read() as connection:
            assert all(access.authenticate(connection, key) is not None for key in self.keys)
            revisions = [
                actions.revision(connection, row.id)
                for row in connection.execute(sa.select(actions.action_revisions.c.id)).all()
            ]
            kept = [
                documents.of(connection, "w", row.playbook_uid)
                for row in connection.execute(sa.select(documents.documents.c.playbook_uid)).all()
            ]
            rows = connection.execute(sa.select(transitions.executions)).all()
        assert {one.document["password"] for one in kept if one is not None} == {CANARY}
        opened = [opened_config("w", revision) for revision in revisions] + [opened_parameters(row) for row in rows]
        assert {value for values in opened for value in values.values()} == {CANARY}
        return len(opened) + len(kept)


@pytest.fixture
def installation(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    """An installation under its old key."""
    yield Installation(monkeypatch)
    settings.cache_clear()


def fernet(root: str) -> Fernet:
    """What earlier versions sealed with."""
    digest = hashlib.blake2b(root.encode(), digest_size=32, person=b"tocsin-seal").digest()
    return Fernet(base64.urlsafe_b64encode(digest))


def resealing(keys: str) -> subprocess.Popen[str]:
    """The command, as an operator starts it, with these keys."""
    env = {**os.environ, "TOCSIN_SECRET_KEYS": keys}  # noqa: TID251
    call = [sys.executable, "-m", "launcher.reseal"]
    return subprocess.Popen(call, cwd=ROOT, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


@pytest.mark.gate
def test_it_is_killed_twice_under_load_and_loses_nothing(installation: Installation) -> None:
    """Next to writers, some of which still use the old key, all stays readable, at the end under the new."""
    here = installation
    here.fill(1500)
    here.use(here.old, here.new)  # as every process does first when the key is changed
    over, faults = threading.Event(), list[BaseException]()

    def load() -> None:
        try:
            while not over.wait(0.02):
                added = here.add_executions(20)
                with db.read() as connection:
                    assert all(opened_parameters(transitions.get(connection, "w", each)) for each in added)
        except BaseException as fault:
            faults.append(fault)

    def under(root: str) -> int:
        with db.read() as connection:
            held = transitions.executions.c.sealed
            query = sa.select(sa.func.count()).where(held.like(f"{subkeys.prefix(root)}%"))
            return connection.execute(query).scalar_one()

    threads = [threading.Thread(target=load) for _ in range(2)]
    for thread in threads:
        thread.start()
    said = ""
    try:
        for _ in range(2):
            before, process = under(here.new), resealing(f"{here.new},{here.old}")
            eventually(lambda before=before: under(here.new) > before, 60, "it has begun")
            process.kill()
            said += process.communicate()[0]
            assert process.returncode == -signal.SIGKILL
            assert under(here.old) > 0, "it was killed half-way"
            here.open_everything()
        here.use(here.new, here.old)
        process = resealing(f"{here.new},{here.old}")
        said += process.communicate(timeout=100)[0]
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert faults == []
    assert process.returncode == 0, said
    assert "executions:" in said
    assert CANARY not in said
    assert set(here.behind().values()) == {0}
    here.use(here.new, old="refuse")
    assert here.open_everything() >= 1510


def test_values_of_an_earlier_version_are_resealed(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """Maintenance does it by itself, some at a time; afterwards they open although nothing of the earlier form does."""
    here = installation
    here.fill(1)
    text = f'{{"token": "{CANARY}"}}'.encode()
    here.add_executions(450, lambda cell: fernet(here.old).encrypt(text).decode())
    assert here.behind()["executions"] == 450
    monkeypatch.setattr(seals, "renewal", seals.Renewal())
    maintenance.maintain()
    assert set(here.behind().values()) == {0}
    here.use(here.old, old="refuse")
    assert here.open_everything() == 461


def test_maintenance_goes_on_where_it_stopped(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes a few bites each time, so that other tasks of its worker need not wait, and comes to the end."""
    here = installation
    here.fill(450)
    here.use(here.new, here.old)
    monkeypatch.setattr(seals, "BITES", 2)
    monkeypatch.setattr(seals, "renewal", seals.Renewal())
    left = []
    for _ in range(4):
        maintenance.maintain()
        left.append(sum(here.behind().values()))
    assert left == sorted(left, reverse=True)
    assert left[0] > 0
    assert left[-1] == 0


def test_what_cannot_be_opened_is_named_and_left(
    installation: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command goes on with the rest, names table and id and not the value, and ends with status 1."""
    here = installation
    here.fill(3)
    lost = fernet(secrets.token_urlsafe(32)).encrypt(b'{"token": "x"}').decode()
    (broken,) = here.add_executions(1, lambda _cell: lost)
    forged = here.add_key()
    with db.write() as connection:
        mine = access.api_keys.c.id == forged.split("_")[1]
        connection.execute(sa.update(access.api_keys).where(mine).values(role="admin", mac=None))
    here.use(here.new, here.old)
    assert command.main() == 1
    said = capsys.readouterr()
    assert f"executions {broken}: cannot be opened" in said.err
    assert f"api_keys {forged.split('_')[1]}: cannot be opened" in said.err
    assert lost not in said.out + said.err
    assert here.behind() == {"api_keys": 0, "action_revisions": 0, "playbook_documents": 0, "executions": 1}
    with db.read() as connection:
        assert access.authenticate(connection, forged) is None


def test_every_sealed_column_is_resealed() -> None:
    """No table with a column that is made with a root key is forgotten."""
    made = {table.name for table in metadata.tables.values() if {"sealed", "mac"} & set(table.columns.keys())}
    assert made == set(reseal.STEPS)
