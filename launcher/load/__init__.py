"""Registers the actions and playbooks of a folder: ``python -m launcher.load DIR``."""
