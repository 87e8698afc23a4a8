# Made by sdk/tools/sync.py from tocsin/_async/resources/__init__.py; do not edit.
"""The resources of the API: one class each, one method for each operation."""
