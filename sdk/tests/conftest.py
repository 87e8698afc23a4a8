"""What all tests of the SDK share; they need nothing of the product, and run on every Python from 3.9 on."""

from typing import Any, Iterator, List

import pytest
from scripted_server import KEY, Scripted
from tocsin import Client


@pytest.fixture(scope="session")
def one_server() -> Iterator[Scripted]:
    """One server for all tests."""
    script = Scripted()
    yield script
    script.stop()


@pytest.fixture
def server(one_server: Scripted) -> Scripted:
    """A server that answers as the test says."""
    one_server.requests, one_server.replies = [], []
    return one_server


@pytest.fixture
def client(server: Scripted) -> Iterator[Client]:
    """A client of that server."""
    with Client(server.url, KEY) as made:
        yield made


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> List[float]:
    """The seconds that the client would have waited; nothing waits."""
    waited: List[float] = []
    from tocsin._sync import handles, stream, transport

    for module in (transport, handles, stream):
        monkeypatch.setattr(module, "time", type("time", (), {"sleep": staticmethod(waited.append)}))
    return waited


@pytest.fixture(autouse=True)
def nothing_configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """No setting of this machine reaches a test."""
    for name in ("TOCSIN_URL", "TOCSIN_API_KEY", "TOCSIN_PROFILE", "HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
