"""Templates and conditions that users write, evaluated over plain data.

No I/O.
"""
