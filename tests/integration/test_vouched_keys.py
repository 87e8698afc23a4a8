"""The table of API keys is not trusted: a row that Tocsin has not written opens nothing."""

import hashlib
import json
import secrets

import pytest
import sqlalchemy as sa
from alembic import command

from config.settings import settings
from store import access, migrate
from store.access import api_keys
from store.engine import db
from tests.support.api import Door, assert_problem

DAY = 86_400_000


@pytest.fixture
def door(database: str) -> Door:
    """The application on each kind of database."""
    return Door()


def alter(key: str, **values: object) -> None:
    """Change the row of a key behind Tocsin's back."""
    with db.write() as connection:
        connection.execute(sa.update(api_keys).where(api_keys.c.id == key.split("_")[1]).values(**values))


def forged(**values: object) -> tuple[str, dict[str, object]]:
    """A key as an intruder might make it, and its row."""
    key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    row = {
        "id": key_id,
        "workspace_id": "default",
        "name": "forged",
        "role": "admin",
        "scopes": "[]",
        "secret_hash": hashlib.sha256(secret.encode()).hexdigest(),
        "created_at": db.now_ms(),
        **values,
    }
    return f"tcn_{key_id}_{secret}", row


def opens(key: str) -> bool:
    """Whether the key authenticates a caller."""
    with db.read() as connection:
        return access.authenticate(connection, key) is not None


@pytest.mark.parametrize(
    "altered",
    [
        {"role": "admin"},
        {"workspace_id": "other"},
        {"scopes": "[]"},
        {"scopes": '["write:actions"]'},
        {"expires_at": None},
        {"expires_at": 4_102_444_800_000},
        {"mac": None},
        {"mac": ""},
        {"mac": "v2.00000000.00"},
        {"mac": "é.é.é"},
    ],
)
def test_an_altered_key_opens_nothing(door: Door, altered: dict[str, object]) -> None:
    """A key with another role, workspace, scopes or time than it was made with answers 401; put back, it opens."""
    door.key(workspace="other")
    key = door.key("viewer", scopes=("read:actions",), expires_at=db.now_ms() + DAY)
    with db.read() as connection:
        before = connection.execute(sa.select(api_keys).where(api_keys.c.id == key.split("_")[1])).one()._asdict()
    alter(key, **altered)
    assert_problem(door.call("GET", "/api/actions", key=key), 401)
    alter(key, **before)
    assert door.call("GET", "/api/actions", key=key).status_code == 200


def test_the_rest_of_a_row_may_change(door: Door) -> None:
    """Its name and when it was last used are not vouched for."""
    key = door.key()
    alter(key, name="renamed", last_used_at=1)
    assert door.call("GET", "/api/actions", key=key).status_code == 200


def test_a_key_that_an_intruder_has_inserted_opens_nothing(door: Door) -> None:
    """Neither with a plain hash, as earlier versions kept it, nor with the MAC of another key."""
    with db.read() as connection:
        own = door.admin.split("_")[1]
        mac = connection.execute(sa.select(api_keys.c.mac).where(api_keys.c.id == own)).scalar_one()
    for more in ({}, {"mac": mac}):
        key, row = forged(**more)
        with db.write() as connection:
            connection.execute(sa.insert(api_keys).values(row))
        assert_problem(door.call("GET", "/api/keys", key=key), 401)


def test_a_secret_does_not_fit_another_row(door: Door) -> None:
    """The hash of a viewer's key in the row of an admin opens nothing."""
    viewer, admin = door.key("viewer"), door.key()
    with db.read() as connection:
        query = sa.select(api_keys.c.secret_hash).where(api_keys.c.id == viewer.split("_")[1])
        alter(admin, secret_hash=connection.execute(query).scalar_one())
    assert_problem(door.call("GET", "/api/actions", key=f"tcn_{admin.split('_')[1]}_{viewer.split('_')[2]}"), 401)


def test_every_root_key_vouches(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key made under the old root key opens with the new one in front, and not any more when the old one is gone."""
    old, new = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    found = []
    for keys in (old, f"{new},{old}", new):
        monkeypatch.setenv("TOCSIN_SECRET_KEYS", keys)
        settings.cache_clear()
        if not found:
            with db.write() as connection:
                access.ensure_workspace(connection, "w", "W")
                more = {"name": "k", "role": "viewer", "scopes": [], "expires_at": None, "actor": "test"}
                _, key = access.create_key(connection, workspace_id="w", **more)
        found.append(opens(key))
    assert found == [True, True, False]


@pytest.mark.parametrize("old", ["open", "refuse"])
def test_keys_of_an_earlier_version(empty_database: str, monkeypatch: pytest.MonkeyPatch, old: str) -> None:
    """They open after the migration as before, unless old ones are refused; one inserted later never does."""
    monkeypatch.setenv("TOCSIN_SEALED_OLD", old)
    settings.cache_clear()
    command.upgrade(migrate.configuration(), "0003")
    table = sa.table("api_keys", *[sa.column(name) for name in forged()[1]])
    (kept, row), (viewer, other) = forged(scopes=json.dumps(["read:actions"])), forged(role="viewer")
    with db.write() as connection:
        access.ensure_workspace(connection, "default", "D")
        connection.execute(sa.insert(table), [row, other])
    migrate.upgrade()
    assert [opens(kept), opens(viewer)] == [old == "open"] * 2
    later, row = forged()
    with db.write() as connection:
        connection.execute(sa.insert(table).values(row))
    migrate.upgrade()
    assert not opens(later)
