"""The exporter: from a definition to a new or updated CACAO document."""
