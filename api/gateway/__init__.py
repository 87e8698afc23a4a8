"""The gateway: its rules, and what stops everything."""
