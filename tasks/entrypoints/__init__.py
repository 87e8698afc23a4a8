"""What Celery calls: the tasks, and nothing else."""
