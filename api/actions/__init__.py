"""Actions: their definitions, triggering one, and its executions."""
