"""The running product that acceptance tests share: one at a time, kept over tests, healed before each."""

import uuid
from collections.abc import Iterator

import pytest

from tests.support.services import Missing, missing
from tests.support.stack import Stack


class Stacks:
    """Holds the product that runs, and replaces it when a test wants another kind of database."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._request = request
        self._kind = ""
        self._running: Stack | None = None

    def of(self, kind: str) -> Stack:
        """The product on this kind of database, whole and idle."""
        if self._running is None or self._kind != kind:
            self.end()
            url = ""
            if kind == "postgresql":
                server = self._request.getfixturevalue("postgres_server")
                url = server.create_database(f"stack_{uuid.uuid4().hex[:12]}")
            try:
                self._running = Stack(url).__enter__()
            except Missing as reason:
                missing(reason)
            self._kind = kind
        self._running.heal()
        return self._running

    def end(self) -> None:
        """End what runs."""
        if self._running is not None:
            self._running.__exit__()
        self._running = None


@pytest.fixture(scope="session")
def stacks(request: pytest.FixtureRequest) -> Iterator[Stacks]:
    """The holder of the running product."""
    holder = Stacks(request)
    yield holder
    holder.end()


@pytest.fixture(params=["sqlite", "postgresql"])
def stack(request: pytest.FixtureRequest, stacks: Stacks) -> Stack:
    """The running product; each test runs once with each kind of database."""
    return stacks.of(request.param)


@pytest.fixture
def sqlite_stack(stacks: Stacks) -> Stack:
    """The running product on SQLite, where the kind of database makes no difference."""
    return stacks.of("sqlite")


@pytest.fixture
def postgresql_stack(stacks: Stacks) -> Stack:
    """The running product on PostgreSQL."""
    return stacks.of("postgresql")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Show the end of every process's log with a failed test."""
    report = yield
    if report.failed:
        found = [value for value in getattr(item, "funcargs", {}).values() if isinstance(value, Stack)]
        report.sections += [("logs of the product", running.log_tails()) for running in found]
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests on PostgreSQL come last, so that the product is started once for each kind of database."""
    items.sort(
        key=lambda item: bool({"stack", "postgresql_stack"} & set(item.fixturenames)) and "sqlite" not in item.name
    )
