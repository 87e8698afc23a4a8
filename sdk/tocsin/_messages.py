"""One line of a stream: what has happened, as the server tells it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Dict, Optional

from tocsin._model import Model


class Message(Model):
    """What a stream tells; members of other types are read as ``message["name"]``."""

    type: str
    """``run_changed``, ``step_changed``, ``action_dispatched``, …; ``lagged`` where some were left out."""
    id: Optional[str]
    """Its place in the trail; None where it was found by asking, and of ``lagged``."""
    timestamp: Optional[datetime]
    execution_id: Optional[str]
    """Of ``run_changed`` and ``step_changed``: what has changed."""
    run_id: Optional[str]
    step: Optional[str]
    """Of ``step_changed``: the id of the step."""
    iteration: Optional[str]
    status: Optional[str]
    """Of ``run_changed`` and ``step_changed``: the new status."""
    outcome: Optional[Dict[str, Any]]
    """Of ``action_dispatched``: how it went."""
    action_id: Optional[str]
    skipped: Optional[int]
    """Of ``lagged``: how many were left out."""
