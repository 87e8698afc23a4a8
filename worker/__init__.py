"""The worker processes: their roles, start and stop, and signs of life."""

from tasks.app import app
from worker import boot

boot.connect()

__all__ = ["app"]
