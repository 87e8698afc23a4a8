"""The demo of ``make run``: made-up systems, used through the API.

It registers actions and playbooks over HTTP as any client would.
"""
