"""Named calendars: spans of time that come back, by which rules are muted and schedules leave out times."""
