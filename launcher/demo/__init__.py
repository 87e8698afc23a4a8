"""The demo of ``make run``: made-up systems, actions and playbooks, used through the HTTP API as any client would."""
