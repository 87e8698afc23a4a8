"""The database engine: connections, prepared statements, group commit, and the clock all processes agree on."""
