"""Bundles of custom actions."""
