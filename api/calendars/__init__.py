"""Named calendars."""
