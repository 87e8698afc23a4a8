"""What all tests share: a safe environment, real servers, and empty databases.

The environment is set before anything of the project is imported, because settings are read once and the Celery
app is made at import. ``TOCSIN_REDIS_URL`` names a socket at which Redis listens only when a test asks for
``redis_server``; until then the broker is simply away, which every part must bear.
"""

import gc
import os
import shutil
import sqlite3
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

# a machine may stand still for a moment: how long an example takes says nothing
_patient = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
# what one runs is short and says the same each time; ``make fuzz`` and the gate look for more, elsewhere each time
hypothesis_settings.register_profile("fuzz", max_examples=2000, **_patient)
hypothesis_settings.register_profile("search", max_examples=100, print_blob=True, **_patient)
hypothesis_settings.register_profile("same", max_examples=12, derandomize=True, database=None, **_patient)
hypothesis_settings.load_profile("same")
#: in memory where there is room: what these tests break are processes, never the disk
_MEMORY = Path("/dev/shm")
_ROOM = 8 * 1024**3
_HOME = Path(
    tempfile.mkdtemp(
        prefix="tcn-", dir=_MEMORY if _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ROOM else None
    )
)
for _name in [name for name in os.environ if name.startswith(("TOCSIN_", "OTEL_")) and "_TEST_" not in name]:  # noqa: TID251
    del os.environ[_name]  # noqa: TID251
os.environ.update(  # noqa: TID251
    TOCSIN_ENV="development",
    TOCSIN_VAR_DIR=str(_HOME / "var"),
    TOCSIN_REDIS_URL=f"unix://{_HOME}/redis.sock",
    TOCSIN_RATE_LIMIT="1000000/minute",
)

from config.settings import settings  # noqa: E402
from gateway import current  # noqa: E402
from store import migrate  # noqa: E402
from store import redis as redis_store  # noqa: E402
from store.engine import clock, db  # noqa: E402
from tasks.offload import pool  # noqa: E402
from tests.support import forked  # noqa: E402
from tests.support.databases import Emptied, share_statements  # noqa: E402
from tests.support.services import ForeignPostgres, Missing, PostgresServer, RedisServer, missing  # noqa: E402
from tests.support.sharing import pytest_xdist_make_scheduler  # noqa: E402, F401
from tests.support.stack import TRIED  # noqa: E402

os.environ.update(TRIED)  # noqa: TID251 - for what runs inside the tests' own process
share_statements()


#: the files that take longest, the longest first: begun last they would run alone at the end
_LONGEST = ("test_openapi_fuzz", "test_odd_values", "test_takeover", "test_rolling", "test_fair", "test_chaos")
_LONGEST += ("test_rabbitmq_chaos", "test_runs_chaos", "test_hot_path", "test_key_rotation")  # a minute and more each
_LONGEST += ("test_graceful_stop", "test_clocks")
_LONGEST += ("test_dispatches", "test_scheduler", "test_supervisor", "test_configuration_obeyed")
_LONGEST += ("test_breakers_history", "test_reseal", "test_gate_history", "test_offload", "test_launcher")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The long, the wide and the gate's tests run only when ``-m`` asks for them; the longest files come first.

    On PostgreSQL only the gate runs them all. What each database does in a way of its own is marked ``on_both``: it
    runs on both everywhere.
    """
    for item in items:
        if _is_second_form(item) and item.get_closest_marker("on_both") is None:
            item.add_marker(pytest.mark.gate)
    if hasattr(config, "workerinput"):
        items.sort(key=_turn)
    if config.option.markexpr:
        return
    optional = [item for item in items if any(map(item.get_closest_marker, ("chaos", "gate", "wide")))]
    config.hook.pytest_deselected(items=optional)
    items[:] = [item for item in items if item not in optional]


def _is_second_form(item: pytest.Item) -> bool:
    """Whether it is what runs on SQLite too, inside the tests' own process."""
    params = item.callspec.params if hasattr(item, "callspec") else {}
    return "postgresql" in (params.get("database"), params.get("empty_database"))


def _turn(item: pytest.Item) -> tuple[int, bool]:
    long = _LONGEST.index(item.path.stem) if item.path.stem in _LONGEST else len(_LONGEST)
    return long, "acceptance" not in item.path.parts


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection() -> Iterator[None]:
    """Collecting makes 350,000 objects that stay: the garbage collector does not look at them, then or later.

    It looks more rarely for what tests leave, too: by Python's own thresholds it takes a tenth of their time.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(20_000, 20, 20)
        gc.enable()


def pytest_unconfigure() -> None:
    """Leave nothing behind."""
    pool.end()
    forked.end()
    shutil.rmtree(_HOME, ignore_errors=True)


@pytest.fixture(autouse=True)
def _settings_of_its_own() -> None:
    """A test reads its own environment, and begins without rules, whatever an earlier one has set."""
    settings.cache_clear()
    current.forget()


@pytest.fixture(scope="session")
def until_the_end() -> Iterator[ExitStack]:
    """Ends what runs for the whole session, the latest first (fixtures that are asked for late end too early)."""
    with ExitStack() as everything:
        yield everything


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A Redis for tests inside this process; it answers at TOCSIN_REDIS_URL."""
    try:
        server = RedisServer(_HOME)
    except Missing as reason:
        missing(reason)
    server.start()
    # a busy machine may keep Redis from answering for longer than the product waits; one that is dead refuses at once
    redis_store.client().connection_pool.connection_kwargs.update(socket_timeout=60, socket_connect_timeout=60)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres_server(until_the_end: ExitStack) -> PostgresServer | ForeignPostgres:
    """A PostgreSQL server for the whole run."""
    foreign = os.environ.get("TOCSIN_TEST_POSTGRES_URL")  # noqa: TID251
    try:
        server = ForeignPostgres(foreign) if foreign else PostgresServer()
    except Missing as reason:
        missing(reason)
    until_the_end.callback(server.remove)
    if isinstance(server, PostgresServer):
        server.start()
    return server


@pytest.fixture(scope="session")
def migrated_sqlite() -> Path:
    """A migrated, empty SQLite file to be copied."""
    template = _HOME / "template.db"
    _migrate(f"sqlite:///{template}")
    with sqlite3.connect(template) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return template


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: PostgresServer | ForeignPostgres) -> Iterator[str]:
    """The name of a migrated, empty PostgreSQL database to be copied."""
    name = f"template_{uuid.uuid4().hex[:12]}"
    _migrate(postgres_server.create_database(name))
    yield name
    postgres_server.drop_database(name)


@pytest.fixture(scope="session")
def emptied_postgres(
    postgres_server: PostgresServer | ForeignPostgres, migrated_postgres: str, until_the_end: ExitStack
) -> Emptied:
    """A migrated PostgreSQL database that is emptied after each test."""
    kept = Emptied(postgres_server, migrated_postgres)
    until_the_end.callback(kept.end)
    return kept


def _migrate(url: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOCSIN_DATABASE_URL", url)
        settings.cache_clear()
        migrate.upgrade()
    settings.cache_clear()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty database that this process uses; each test runs once with each kind. Yields the kind."""
    yield from _use_database(request, monkeypatch, request.param)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.gate)])
def first_database(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The same for long tests: on PostgreSQL they run only in the gate."""
    yield from _use_database(request, monkeypatch, request.param)


@pytest.fixture
def sqlite_database(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty SQLite database that this process uses, where the kind makes no difference."""
    yield from _use_database(request, monkeypatch, "sqlite")


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A database that this process uses and that has no tables yet, of each kind. Yields the kind."""
    yield from _use_database(request, monkeypatch, request.param, migrated=False)


def _use_database(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, kind: str, *, migrated: bool = True
) -> Iterator[str]:
    name, emptied = f"test_{uuid.uuid4().hex[:12]}", None
    if kind == "sqlite":
        path = _HOME / f"{name}.db"
        if migrated:
            shutil.copy(request.getfixturevalue("migrated_sqlite"), path)
        url = f"sqlite:///{path}"
    elif migrated:
        emptied = request.getfixturevalue("emptied_postgres")
        url = emptied.take()
    else:
        url = request.getfixturevalue("postgres_server").create_database(name)
    monkeypatch.setenv("TOCSIN_DATABASE_URL", url)
    monkeypatch.setattr(clock, "stale", lambda: False)  # tests that set this process's clock mean it
    settings.cache_clear()
    settings()
    while settings().database_url != url:  # a thread that an earlier test has left was reading the environment before
        settings.cache_clear()
        settings()
    db.dispose()
    yield kind
    db.dispose()
    settings.cache_clear()
    if emptied:
        emptied.give_back()
    elif kind == "postgresql":
        request.getfixturevalue("postgres_server").drop_database(name)
