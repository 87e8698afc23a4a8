"""Tick's duties, as tests want them."""

import math
from dataclasses import replace

import pytest

from tasks.entrypoints import tick


def unlimited(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it takes, one tick does all that is due."""
    monkeypatch.setattr(tick, "DUTIES", tuple(replace(duty, seconds=math.inf) for duty in tick.DUTIES))
