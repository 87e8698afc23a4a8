"""Comparing texts by what they mean."""
