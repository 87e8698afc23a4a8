"""Executions: actions, runs and their steps, how they move from state to state, and who looks at them."""
