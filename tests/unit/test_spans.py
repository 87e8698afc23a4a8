"""Spans where none are recorded: nothing is imported, and contexts go on as they came."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from config import spans
from config.settings import settings
from tests.support.processes import ROOT, clean_environment

PARENT = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate": "a=b"}
AS_IT_CAME: list[tuple[dict[str, str], bool]] = [(PARENT, False), ({}, False)]


@pytest.fixture(autouse=True)
def _anew() -> Iterator[None]:
    """Whatever a test sets is forgotten."""
    spans.forget()
    yield
    settings.cache_clear()
    spans.forget()


def _passed_on() -> list[tuple[dict[str, str], bool]]:
    """The contexts of a span below another and of one that might begin a trace, and whether they are recorded."""
    with spans.span("decide", PARENT) as below, spans.span("dispatch", {}, begins=True) as first:
        below.tell(provider="drill")
        return [(dict(span.context), span.recorded) for span in (below, first)]


def test_without_an_endpoint_the_context_goes_on() -> None:
    """Neither is a trace begun."""
    assert _passed_on() == AS_IT_CAME


def test_a_span_does_not_swallow_what_is_raised() -> None:
    """It goes on as it would without one."""
    with pytest.raises(KeyError), spans.span("decide", PARENT):
        raise KeyError


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9", "collector:4317"])
def test_without_the_extra_the_context_goes_on(
    endpoint: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says once why nothing is exported."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)  # the import fails
    settings.cache_clear()
    said: list[str] = []
    monkeypatch.setattr(spans.log, "warning", lambda text, **_: said.append(text), raising=False)
    assert [_passed_on(), _passed_on()] == [AS_IT_CAME, AS_IT_CAME]
    assert len(said) == 1
    assert ("extra otel" if "//" in endpoint else "OTEL_EXPORTER_OTLP_ENDPOINT") in said[0]


@pytest.mark.parametrize(
    ("given", "endpoint"),
    [
        ({}, ""),
        ({"EXPORTER_OTLP_ENDPOINT": "http://collector:4318/"}, "http://collector:4318/v1/traces"),
        ({"EXPORTER_OTLP_ENDPOINT": "http://a", "EXPORTER_OTLP_TRACES_ENDPOINT": "http://b/t"}, "http://b/t"),
        ({"EXPORTER_OTLP_ENDPOINT": "http://a", "SDK_DISABLED": "True"}, ""),
    ],
)
def test_the_endpoint_is_named_as_everywhere(
    given: dict[str, str], endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variables are those of OpenTelemetry."""
    for name, value in given.items():
        monkeypatch.setenv(f"OTEL_{name}", value)
    settings.cache_clear()
    assert settings().spans_endpoint == endpoint


def test_without_an_endpoint_nothing_is_imported() -> None:
    """The extra may be installed: its ten MiB are not loaded."""
    code = (
        "import sys\nfrom config import spans\n"
        "with spans.span('decide', {}, begins=True): pass\n"
        "print(*[name for name in sys.modules if name.partition('.')[0] in ('opentelemetry', 'google', 'requests')])"
    )
    environment = clean_environment(TOCSIN_ENV="development")
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, env=environment, text=True) == "\n"
