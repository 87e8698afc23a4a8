"""Executors of providers that make no outside call."""
