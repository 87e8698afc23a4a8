"""How a run goes on: from a step to what follows it."""
