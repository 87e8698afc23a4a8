"""Stored definitions of actions and playbooks: members, parameters, triggers, schedules."""
