"""The operator's functions in memory: files are read, loaded, and loaded again after a change."""
