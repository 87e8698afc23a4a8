"""The routes of the gateway, under ``/v1`` and ``/compat/v1``."""
