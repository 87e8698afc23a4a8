"""Documents of the OASIS CACAO Security Playbooks 2.0 standard: model ← checks ← reading ← writing. No I/O."""
