"""A server with OpenAI's interface for embeddings, whose vectors count the words of a text."""

import json
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from config.settings import settings
from gateway import current
from gateway.configuration.generation import Generation
from gateway.current import InForce
from gateway.rules import written
from tasks.policy import meaning

KEY = "sk-hunter2-and-more"
_NUMBERS = 64


def vector(text: str) -> list[float]:
    """A number for each word; texts with the same words are equal, those without a common one are not alike."""
    found = [0.0] * _NUMBERS
    for word in text.lower().split():
        found[zlib.crc32(word.encode()) % _NUMBERS] += 1.0
    return found


class Server:
    """The server; how it behaves can be changed at any time."""

    def __init__(self) -> None:
        self.status = 200
        #: seconds until an answer
        self.delay = 0.0
        #: in place of the answer
        self.answer: Any = None
        self.texts: list[str] = []
        self.headers: list[dict[str, str]] = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End it."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def environment(self) -> dict[str, str]:
        """What makes it the provider of a process."""
        return {
            "TOCSIN_EMBEDDINGS_PROVIDER": "openai",
            "TOCSIN_EMBEDDINGS_URL": self.url,
            "TOCSIN_EMBEDDINGS_KEY": KEY,
            "TOCSIN_EMBEDDINGS_THRESHOLD": "0.5",
            "TOCSIN_EGRESS_ALLOW": "127.0.0.0/8",
        }

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                given = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.texts.append(given["input"])
                server.headers.append({"path": self.path, "model": given["model"], **self.headers})
                time.sleep(server.delay)
                made = {"data": [{"embedding": vector(given["input"])}]} if server.answer is None else server.answer
                text = json.dumps(made).encode()
                self.send_response(server.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_given: Any) -> None:
                pass

        return Handler


@contextmanager
def configured(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Iterator[None]:
    """Settings of embeddings for the test's own process."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    _anew()
    yield
    monkeypatch.undo()
    _anew()


@contextmanager
def serving(monkeypatch: pytest.MonkeyPatch, **more: str) -> Iterator[Server]:
    """A server as the provider of the test's own process."""
    server = Server()
    with configured(monkeypatch, **server.environment(), **more):
        yield server
    server.stop()


def _anew() -> None:
    settings.cache_clear()
    meaning.HERE.forget()


@contextmanager
def rules(*given: dict[str, Any]) -> Iterator[None]:
    """These rules in place of those in force."""
    held = current.held()
    made = Generation(rules=[written.normalise(rule, "rules.yaml", place) for place, rule in enumerate(given)])
    current.replace(InForce(held.number, made, revisions=held.revisions))
    yield
    current.replace(held)
