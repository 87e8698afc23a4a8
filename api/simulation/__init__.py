"""``/v1/rules/simulate`` and ``/v1/rules/coverage``: rules tried on what really came."""
