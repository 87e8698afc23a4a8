"""Everything that goes through a queue, one room for each cause."""
