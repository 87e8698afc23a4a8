"""One attempt at an execution, from its claim to its end."""
