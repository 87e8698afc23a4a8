"""Playbooks: their definitions, import and export."""
