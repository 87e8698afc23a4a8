"""All that is remembered: the database, its tables with their queries, the migrations, and Redis beside the broker."""
