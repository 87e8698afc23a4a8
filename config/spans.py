"""Spans of OpenTelemetry: what a request, a decision, an attempt and an outside call were, and how long each took.

In order of time: the first span of a process makes what records spans, if the operator names an endpoint and the extra
``otel`` is installed; a span begins below the trace context that has come to it, and what it does goes on below its
own; once it has ended, a thread sends it to the endpoint by OTLP over HTTP. The thread's queue is bounded and no work
waits for it: spans that an endpoint does not take are lost. ``close`` sends the rest when the process ends. A process
that is forked begins with a recorder of its own.

Without endpoint or extra nothing is imported, and the context goes on as it came. The endpoint is the operator's own,
like Redis: it is not checked against ``TOCSIN_EGRESS_ALLOW``. Spans have names, ids and words that the program itself
chose; never a message of an error, a value or a URL.
"""

import logging
import os
import re
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Literal, Self

from config import logs
from config.settings import settings

Kind = Literal["internal", "server", "client", "consumer"]

#: how long the end of a process waits for its last spans, seconds
CLOSING_SECONDS = 2.0
#: facts that OpenTelemetry has names for; all others begin with ``tocsin.``
_NAMES = {"error": "error.type", "method": "http.request.method", "answered": "http.response.status_code"}
#: the form of codes and names of classes: a text that has another may be a value
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_SAMPLED = 1

log = logs.logger(__name__)


class Span:
    """A part of the work; this one is not recorded and costs next to nothing."""

    __slots__ = ("context",)

    #: whether ``context`` names it
    recorded = False

    def __init__(self, context: Mapping[str, str]) -> None:
        #: ``traceparent`` and ``tracestate`` for what goes on below it
        self.context = context

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def tell(self, **facts: str | int | None) -> None:
        """Add names, ids, states or counts; ``error`` is the code of its failure."""


class _Recorded(Span):
    """A span that is exported when it has ended."""

    __slots__ = ("_failed", "_span")

    recorded = True

    def __init__(self, context: Mapping[str, str], span: Any, failed: Any) -> None:
        super().__init__(context)
        self._span = span
        self._failed = failed

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.tell(error=str(getattr(error, "code", None) or type(error).__name__))
        self._span.end()

    def tell(self, **facts: str | int | None) -> None:
        for name, value in facts.items():
            if value is None:
                continue
            if name == "error":
                value = value if _WORD.fullmatch(str(value)) else "error"  # noqa: PLW2901 - what may be shown of it
                self._span.set_status(self._failed)
            self._span.set_attribute(
                _NAMES.get(name) or f"tocsin.{name}", value if isinstance(value, int) else str(value)
            )


class _Telling:
    """An exporter whose first failure, and first success after it, are logged."""

    def __init__(self, exporter: Any) -> None:
        self._exporter = exporter
        self._well = True

    def export(self, spans: Any) -> Any:
        result = self._exporter.export(spans)
        well = result.name == "SUCCESS"
        if well is not self._well:
            self._well = well
            if well:
                log.info("spans are exported again")
            else:
                log.warning("spans are not exported: the endpoint does not take them; they are lost")
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


class _Recorder:
    """Records the spans of this process."""

    def __init__(self, endpoint: str) -> None:
        # the extra may be missing, and few installations need these 10 MiB
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        # a line for each batch that fails, and headers in clear where they have a fault
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL + 1)
        resource = Resource.create()
        if str(resource.attributes.get("service.name", "")).startswith("unknown_service"):
            resource = resource.merge(Resource({"service.name": "tocsin"}))
        self._trace = trace
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(_Telling(OTLPSpanExporter(endpoint=endpoint))))
        self._tracer = self._provider.get_tracer("tocsin")
        self._failed = trace.Status(trace.StatusCode.ERROR)

    def start(self, name: str, kind: Kind, parent: Mapping[str, str]) -> Span:
        """A span below ``parent``; the first of a trace if that is empty."""
        trace = self._trace
        given, above = 0, trace.INVALID_SPAN
        if parent:
            _, trace_id, span_id, flags = parent["traceparent"].split("-")
            given = int(flags, 16)
            state = trace.TraceState.from_header([parent.get("tracestate", "")])
            above = trace.NonRecordingSpan(
                trace.SpanContext(int(trace_id, 16), int(span_id, 16), True, trace.TraceFlags(given), state)
            )
        below = trace.set_span_in_context(above, trace.Context())
        span = self._tracer.start_span(name, below, trace.SpanKind[kind.upper()])
        own = span.get_span_context()
        flags = given & ~_SAMPLED | own.trace_flags & _SAMPLED
        context = {**parent, "traceparent": f"00-{own.trace_id:032x}-{own.span_id:016x}-{flags:02x}"}
        return _Recorded(context, span, self._failed)

    def close(self, seconds: float) -> None:
        """Send what is left; an endpoint that hangs is left alone after ``seconds``."""
        sending = threading.Thread(target=self._provider.shutdown, name="last-spans", daemon=True)
        sending.start()
        sending.join(seconds)


class _Process:
    """What this process records with, once it is known."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Decide again with the next span."""
        self.lock = threading.Lock()
        self.known = False
        self.recorder: _Recorder | None = None

    def begin(self) -> _Recorder | None:
        """Make what records spans, unless another thread has just done so."""
        with self.lock:
            if not self.known:
                self.recorder = _made(settings().spans_endpoint)
                self.known = True
        return self.recorder


_here = _Process()
os.register_at_fork(after_in_child=_here.forget)


def span(name: str, parent: Mapping[str, str], *, kind: Kind = "internal", begins: bool = False) -> Span:
    """A span of this name below ``parent``, for a ``with`` statement.

    Where nothing has come from above there is none, unless it ``begins`` a trace.
    """
    recorder = _here.recorder if _here.known else _here.begin()
    if recorder is None or not (parent or begins):
        return Span(parent)
    return recorder.start(name, kind, parent)


def close(seconds: float = CLOSING_SECONDS) -> None:
    """Export the last spans of a process that ends, within ``seconds``; it records none afterwards."""
    recorder, _here.recorder = _here.recorder, None
    if recorder is not None:
        recorder.close(seconds)


def forget() -> None:
    """Record by the settings of now, from the next span on."""
    close()
    _here.forget()


def _made(endpoint: str) -> _Recorder | None:
    """What records spans; None where nothing is to be exported, or cannot be."""
    if not endpoint:
        return None
    try:
        if not endpoint.startswith(("http://", "https://")):
            log.warning("spans are not exported: OTEL_EXPORTER_OTLP_ENDPOINT must begin with http:// or https://")
            return None
        return _Recorder(endpoint)
    except ImportError:
        log.warning("spans are not exported: an endpoint is set, and the extra otel is not installed")
    except Exception as error:  # noqa: BLE001 - a variable of OpenTelemetry that it cannot read must not end the work
        log.warning("spans are not exported: OpenTelemetry does not start", error=type(error).__name__)
    return None
