"""What time does: recovery of due rows, schedules, dead workers."""
