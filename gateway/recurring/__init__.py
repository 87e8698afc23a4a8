"""Recurring actions: as they are written, and which of their times are due."""
