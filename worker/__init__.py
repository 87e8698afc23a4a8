"""The worker processes and their supervisor: roles, start and stop, and signs of life."""

from worker.forked import forks  # before all else: what it does in a child comes before what others do there

from tasks.app import app  # isort: skip
from worker import boot  # isort: skip

boot.connect()

__all__ = ["app", "forks"]
