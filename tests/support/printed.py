"""Requests printed in documentation are sent, and their printed answers compared."""

import itertools
import re
import shlex
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from werkzeug.test import TestResponse

from tests.support.api import Door

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z")
_KEYS = re.compile(r"YOUR_API_KEY|\$S4E_API_TOKEN")
_OUR_OWN = {"id", "execution_id", "created_at", "updated_at", "started_at", "completed_at", "timestamp"}


def replay(
    door: Door,
    command: str,
    *,
    base: str = "/api",
    key: str = "",
    ids: Mapping[str, str] | None = None,
    files: Mapping[str, str] | None = None,
) -> TestResponse:
    """Send a printed command's request, as the administrator or with another ``key``.

    ``ids`` replace printed ids in its path; ``files`` are those that it reads, by name.
    """
    words = shlex.split(command.replace("\\\n", " ").partition(" | ")[0])
    options = dict(itertools.pairwise(words))
    address = urlsplit(next(word for word in words if word.startswith("https://")))
    headers = dict(words[at + 1].split(": ", 1) for at, word in enumerate(words) if word == "-H")
    headers["Authorization"] = _KEYS.sub(key or door.admin, headers["Authorization"])
    path = f"{address.path}?{address.query}" if address.query else address.path
    for printed, real in (ids or {}).items():
        path = path.replace(printed, real)
    data = options.get("-d")
    data = (files or {})[data[1:]] if data is not None and data.startswith("@") else data
    return door.client.open(path.replace("/api", base, 1), method=options.get("-X", "GET"), headers=headers, data=data)


def assert_shows(printed: Any, answered: Any, where: str = "$") -> None:
    """Assert that the answer has the printed members; ids and times vary."""
    if isinstance(printed, dict):
        assert isinstance(answered, dict), where
        for name, value in printed.items():
            assert name in answered, f"{where}.{name} is missing"
            if name not in _OUR_OWN:
                assert_shows(value, answered[name], f"{where}.{name}")
            elif TIME.fullmatch(value):
                assert TIME.fullmatch(answered[name]), f"{where}.{name}: {answered[name]}"
            else:  # exec- for whatever is done; the executions of playbooks have pexec-
                prefix = value.split("-")[0]
                assert answered[name].split("-")[0] in (prefix, f"p{prefix}"), f"{where}.{name}: {answered[name]}"
    elif isinstance(printed, list):
        assert len(printed) == len(answered), where
        for index, (one, other) in enumerate(zip(printed, answered, strict=True)):
            assert_shows(one, other, f"{where}[{index}]")
    else:
        assert type(printed) is type(answered), where
        assert printed == answered, where
