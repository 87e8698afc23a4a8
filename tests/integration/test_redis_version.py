"""A Redis with known vulnerabilities is noticed as a process starts."""

import secrets
from collections.abc import Iterator

import pytest

from config.settings import SettingsError, settings
from store import redis, redis_version
from tests.support.services import RedisServer


@pytest.fixture
def production(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Settings for production; every release but one far away counts as holed."""
    monkeypatch.setenv("TOCSIN_ENV", "production")
    monkeypatch.setenv("TOCSIN_SECRET_KEY", secrets.token_urlsafe(48))
    monkeypatch.setattr(redis_version, "_SOUND", {"redis": ((99, 0, 0),), "valkey": ((99, 0, 0),)})
    settings.cache_clear()
    yield monkeypatch
    settings.cache_clear()


@pytest.mark.usefixtures("redis_server")
def test_production_refuses_a_server_with_known_holes(production: pytest.MonkeyPatch) -> None:
    """The process ends with the remedy, unless a distribution has fixed the server; development only warns."""
    with pytest.raises(SettingsError, match=r"(Redis|Valkey) \d+\..*TOCSIN_REDIS_PATCHED"):
        redis.refuse_unsound()
    production.setenv("TOCSIN_REDIS_PATCHED", "true")
    settings.cache_clear()
    redis.refuse_unsound()
    production.delenv("TOCSIN_REDIS_PATCHED")
    production.setenv("TOCSIN_ENV", "development")
    settings.cache_clear()
    redis.refuse_unsound()


def test_a_server_that_is_sound_is_taken(redis_server: RedisServer) -> None:
    """What the tests, and ``make run``, start by themselves is sound."""
    found = redis_version.reported(redis_server.client().info("server"))
    assert found.sound, found


def test_a_server_that_is_away_is_none_to_look_at(production: pytest.MonkeyPatch, redis_server: RedisServer) -> None:
    """Processes start while Redis is away; the same settings are refused once a server with holes answers there."""
    place = redis_server.directory / "away.sock"
    production.setenv("TOCSIN_REDIS_URL", f"unix://{place}")
    settings.cache_clear()
    redis.refuse_unsound()
    place.symlink_to(redis_server.socket)
    try:
        with pytest.raises(SettingsError, match="known vulnerabilities"):
            redis.refuse_unsound()
    finally:
        place.unlink()
