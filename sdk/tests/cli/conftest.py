"""What the tests of the command line share: it is called as a terminal calls it, against a scripted server."""

from typing import Any, Callable, Dict

import pytest
from scripted_server import KEY, Reply, Request, Scripted, problem
from terminal import Done

pytest.importorskip("click")
pytest.importorskip("rich")


@pytest.fixture
def tocsin(server: Scripted, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Callable[..., Done]:
    """Call the command line in this process, with address and key of the scripted server."""
    monkeypatch.setenv("TOCSIN_URL", server.url)
    monkeypatch.setenv("TOCSIN_API_KEY", KEY)
    for name in ("COLUMNS", "NO_COLOR", "TOCSIN_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    from tocsin.cli import main

    def call(*words: str) -> Done:
        capsys.readouterr()
        code = main(list(words))
        return Done(code, *capsys.readouterr())

    return call


@pytest.fixture
def routes(server: Scripted) -> Dict[str, Any]:
    """Answers by method and path; what is not there is 404."""
    known: Dict[str, Any] = {}

    def answer(request: Request) -> Reply:
        path = request.path.partition("?")[0]
        found = known.get(f"{request.method} {path}")
        if found is None:
            return problem(404, "not_found")
        if isinstance(found, list):
            found = found.pop(0) if len(found) > 1 else found[0]
        return found if isinstance(found, Reply) else Reply(200, found)

    server.replies = [answer]
    return known
