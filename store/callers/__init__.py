"""People and what they cover: users, their sessions, and the rows that grants let a caller see."""
