"""The Celery processes: ``celery -A worker worker -Q urgent,steps,notices``."""

from tasks.app import app
from worker import boot

boot.connect()

__all__ = ["app"]
