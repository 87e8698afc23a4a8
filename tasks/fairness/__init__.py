"""Whose turn it is: queues that callers share, and slots that actions share."""
