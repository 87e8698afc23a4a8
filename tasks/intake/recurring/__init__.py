"""Recurring actions on their way in: what they name, and their firings."""
