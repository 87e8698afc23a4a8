"""What people do to executions: cancel, pause, resume, retry, decide."""
