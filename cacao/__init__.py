"""Documents of the OASIS CACAO Security Playbooks 2.0 standard.

The rooms build on each other: model ← checks ← reading ← writing. No I/O.
"""
