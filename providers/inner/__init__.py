"""Executors of providers that call nobody: a line in the log, and answers for drills."""
