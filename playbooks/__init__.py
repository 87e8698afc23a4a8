"""The meaning of definitions, the plan of a run, and its progress.

No I/O.
"""
