"""What comes back: recurring actions, each of their firings, and named calendars."""
