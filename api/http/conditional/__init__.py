"""Conditional requests (RFC 9110): entity tags, what a reader knows already, and what a writer relies on."""
