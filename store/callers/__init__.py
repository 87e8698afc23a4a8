"""Users, their sessions, and the rows that grants let callers see."""
