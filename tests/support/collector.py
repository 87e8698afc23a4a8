"""A receiver of spans: OTLP over HTTP, as any collector takes them. Needs the extra ``otel``."""

import http.server
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from tests.support.waiting import eventually


@dataclass(frozen=True)
class Received:
    """One span, its ids in hexadecimal digits."""

    name: str
    trace_id: str
    id: str
    parent: str
    kind: int
    facts: dict[str, Any]
    failed: bool
    service: str
    #: everything it says, as text
    text: str


class Collector:
    """It keeps what it gets; ``hanging``, it takes a connection and never answers."""

    def __init__(self, *, hanging: bool = False, status: int = 200) -> None:
        self.spans: list[Received] = []
        self.requests = 0
        self.paths: set[str] = set()
        self._over = threading.Event()
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                collector.requests += 1
                collector.paths.add(self.path)
                content = self.rfile.read(int(self.headers["Content-Length"]))
                if hanging:
                    collector._over.wait()
                    return
                if status == 200:
                    collector.spans += parsed(content)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()

    def all(self, name: str) -> list[Received]:
        """Those of a name, in the order in which they ended."""
        return [span for span in self.spans if span.name == name]

    def one(self, name: str) -> Received:
        """The only one of a name."""
        (found,) = self.all(name)
        return found

    def wait_for(self, done: Callable[[], Any], what: str) -> None:
        """Wait until what has come is enough."""
        eventually(done, 60, what, every=0.05)


def parsed(content: bytes) -> list[Received]:
    """The spans of one request."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    found = []
    for resource in ExportTraceServiceRequest.FromString(content).resource_spans:
        service = _facts(resource.resource.attributes)["service.name"]
        for scope in resource.scope_spans:
            found += [
                Received(
                    name=span.name,
                    trace_id=span.trace_id.hex(),
                    id=span.span_id.hex(),
                    parent=span.parent_span_id.hex(),
                    kind=span.kind,
                    facts=_facts(span.attributes),
                    failed=span.status.code == 2,
                    service=service,
                    text=f"{span} {resource.resource}",
                )
                for span in scope.spans
            ]
    return found


def _facts(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}
