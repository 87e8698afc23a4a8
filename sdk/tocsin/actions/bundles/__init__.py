"""Bundles: custom actions as one versioned upload, with the hosts and secrets that they may use.

A bundle is a folder: ``bundle.toml``, ``actions/*.py``, and where there are any ``playbooks/``, ``tests/`` and
``vendor/`` (requirements of pure Python). ``manifest`` reads what it says of itself, ``hosts`` decides which calls it
may make, ``archive`` packs and unpacks it, ``building`` makes the archive of a folder.
"""
