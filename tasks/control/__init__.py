"""What callers do to executions: cancel, pause, resume, retry, decide."""
