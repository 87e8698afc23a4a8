"""Following what runs: a live tree on a terminal, a line per change elsewhere."""
