"""Decides what becomes of an execution before anything goes out.

``rules`` turns written rules into decisions, ``configuration`` turns a folder of files into the generation in force.
Nothing here does I/O or enqueues anything: ``tasks`` asks, and acts on the verdict.
"""
