"""The routes of the gateway, under ``/v1`` and, as existing clients write it, ``/compat/v1``."""
