"""The commands ``run`` and ``demo`` for a bare machine.

They set up, start every process of the Procfile, show the demo, and stop.
"""
