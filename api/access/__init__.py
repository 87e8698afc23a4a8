"""API keys: who may call, and with which role."""
