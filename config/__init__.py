"""Settings, errors, logs: what an operator decides and every layer needs."""
