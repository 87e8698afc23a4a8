"""The worker processes: which there are, how they start and stop, and how each is seen to live."""

from tasks.app import app
from worker import boot

boot.connect()

__all__ = ["app"]
