"""What streams need: the ids of events, places for clients, and what rows of the audit trail name."""
