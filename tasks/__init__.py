"""Everything that goes through the queue, and what stands before and behind it; one room for each cause."""
