"""Events with a lifecycle: their states, their history, and the moves that people make."""
