"""Bundles of custom actions: their versions, their bytes, and their sealed secrets."""
