"""The database with its tables, queries and migrations, and Redis apart from the broker."""
