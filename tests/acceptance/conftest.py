"""Acceptance tests share one running product, kept over tests, healed before each."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.databases import own_database
from tests.support.services import Missing, missing
from tests.support.stack import Stack


class Stacks:
    """Owner of the running product; replaces it for another kind of database."""

    def __init__(self, request: pytest.FixtureRequest, until_the_end: ExitStack) -> None:
        self._request = request
        self._until_the_end = until_the_end
        self._kind = ""
        self._running: Stack | None = None
        self._ending = ExitStack()

    def of(self, kind: str) -> Stack:
        """The product on this kind of database, whole and idle."""
        if self._running is None or self._kind != kind:
            self.end()
            url = self._ending.enter_context(own_database(self._request, kind, "stack"))
            try:
                self._running = self._ending.enter_context(Stack(url))
            except Missing as reason:
                missing(reason)
            self._until_the_end.callback(self.end)
            self._kind = kind
        self._running.heal()
        return self._running

    def end(self) -> None:
        """End what runs."""
        self._running = None
        self._ending.close()


_STACKS = pytest.StashKey[Stacks]()


@pytest.fixture(scope="session")
def stacks(request: pytest.FixtureRequest, until_the_end: ExitStack) -> Stacks:
    """Owner of the running product."""
    shared = request.session.stash[_STACKS] = Stacks(request, until_the_end)
    return shared


@pytest.fixture(params=["sqlite", "postgresql"])
def stack(request: pytest.FixtureRequest, stacks: Stacks) -> Stack:
    """The running product on each kind of database, where the kind matters."""
    return stacks.of(request.param)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.gate)])
def first_stack(request: pytest.FixtureRequest, stacks: Stacks) -> Stack:
    """The running product on SQLite; on PostgreSQL only in the gate."""
    return stacks.of(request.param)


@pytest.fixture
def sqlite_stack(stacks: Stacks) -> Stack:
    """The running product on SQLite, where the database makes no difference."""
    return stacks.of("sqlite")


@pytest.fixture(params=["postgresql"])
def postgresql_stack(request: pytest.FixtureRequest, stacks: Stacks) -> Stack:
    """The running product on PostgreSQL."""
    return stacks.of(request.param)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Show the end of every process's log with a failed test."""
    report = yield
    if report.failed:
        found = [value for value in getattr(item, "funcargs", {}).values() if isinstance(value, Stack)]
        report.sections += [("logs of the product", running.log_tails()) for running in found]
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort tests on PostgreSQL last: the product starts once for each database."""
    items.sort(key=_needs_postgresql)


def _needs_postgresql(item: pytest.Item) -> bool:
    return "postgresql" in item.name.partition("[")[2]


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """End the product after its last test: it costs processor time."""
    if nextitem is not None and "stacks" in item.fixturenames and Path(__file__).parent not in nextitem.path.parents:
        item.session.stash[_STACKS].end()
