"""Untrusted programs: isolated, limited and watched."""
