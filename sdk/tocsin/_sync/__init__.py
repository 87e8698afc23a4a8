# Made by sdk/tools/sync.py from tocsin/_async/__init__.py; do not edit.
"""The client, made from ``tocsin/_async`` by ``sdk/tools/sync.py``."""
