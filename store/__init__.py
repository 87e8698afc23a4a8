"""The database: tables, queries, migrations; and Redis apart from the broker."""
