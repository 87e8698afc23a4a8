"""What time does: recovery of what is due, schedules, workers that have died."""
