"""What the gateway keeps in the database."""
