"""Lists of executions and runs, read off indexes in the order of each list."""
