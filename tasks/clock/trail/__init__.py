"""What time does to the audit trail: its blocks are sealed, anchored, checked, and deleted once they are old."""
