"""Recurring actions: what goes out again and again."""
