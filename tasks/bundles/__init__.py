"""Bundles of custom actions: pushed by admins, activated into the catalogue, loaded by workers."""
