"""Definitions of actions and playbooks in the form that is stored: members, parameters, triggers, schedules."""
