"""The Celery tasks, and nothing else."""
