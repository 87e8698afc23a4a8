"""All that is remembered: each table with its queries in one file, the Redis connection, the migrations."""
