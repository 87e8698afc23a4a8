"""The pytest plugin: actions are tested as a worker calls them, with recorded HTTP.

``run_action`` calls a function and returns its output; a call that fails raises ``ActionError``. Its HTTP calls are
answered from ``http_recording``, the JSON file ``recordings/<module>.<test>.json`` in its folder. The option
``--tocsin-record`` makes the calls and writes the file; without it a call that is not recorded fails and names the
option.
"""

from __future__ import annotations

import re
import secrets as random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tocsin.actions import trying
from tocsin.actions.http import Transport
from tocsin.actions.signatures import MARK
from tocsin.actions.trials.masks import Masks
from tocsin.actions.trials.recordings import Recording

OPTION = "--tocsin-record"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    group = parser.getgroup("tocsin", "custom actions of Tocsin")
    group.addoption(
        OPTION, action="store_true", help="make the HTTP calls of actions, and record them in the folders of the tests"
    )


@pytest.fixture
def http_recording(request: pytest.FixtureRequest) -> Iterator[Recording]:
    """The recorded calls of this test.

    ``calls`` has what is recorded, ``asked`` what the test has asked for; ``add`` adds a call by hand.
    """
    name = re.sub(r"[^\w.-]+", "-", f"{request.path.stem}.{request.node.name}").strip("-")
    recording = Recording(request.path.parent / "recordings" / f"{name}.json")
    yield recording
    if request.config.getoption(OPTION) and recording.asked:
        recording.save()


@pytest.fixture
def run_action(request: pytest.FixtureRequest, http_recording: Recording) -> Callable[..., dict[str, Any]]:
    """Call an action as a worker does.

    ``run_action(function, *, target="", secrets=None, sandbox=False, log=None, **parameters)``: the function is a
    marked one, or the text ``FILE::NAME`` relative to the test's folder; ``secrets`` gives values for the bundle's
    secrets, by name; ``log`` is a list that receives the log lines.
    """
    recorded: list[Transport] = []

    def call(
        function: Callable[..., Any] | str,
        *,
        target: str = "",
        secrets: dict[str, str] | None = None,
        sandbox: bool = False,
        log: list[tuple[str, str]] | None = None,
        **parameters: Any,
    ) -> dict[str, Any]:
        subject = _subject(function, request.path.parent)
        nonce = random.token_hex(16)
        known = [*trying.secret_values(subject, parameters), *trying.environment_secrets(subject).values()]
        http_recording.masks = Masks([*known, *(secrets or {}).values()])
        if request.config.getoption(OPTION):
            live = trying.live_transport(subject, nonce, secrets or {}, f"test-{nonce[:12]}")
            transport = http_recording.recording(live, keep=bool(recorded))
        else:
            transport = http_recording.replaying(f"run pytest with {OPTION}, or add it with http_recording.add(…)")
        recorded.append(transport)
        lines: list[tuple[str, str]] = [] if log is None else log
        return trying.run(subject, parameters, transport, nonce, lines, target=target, sandbox=sandbox)

    return call


def _subject(function: Callable[..., Any] | str, folder: Path) -> trying.Subject:
    if isinstance(function, str):
        return trying.find(folder / function)
    handler = getattr(function, MARK, None)
    if handler is None:
        raise TypeError(f"{function!r} is no action: mark it with @action()")
    file = Path(function.__code__.co_filename)
    return trying.Subject(file, handler, trying.manifest_of(file))
