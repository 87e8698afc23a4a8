"""Scheduling: queues that callers share, and slots that actions share."""
