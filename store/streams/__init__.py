"""What streams need: ids, places in Redis, rows of the trail and what they name."""
