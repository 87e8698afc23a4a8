"""The present request itself, for the hot path.

Flask's ``request`` looks it up at every use, which adds up.
"""

from flask import Request, request


def present() -> Request:
    """The request that is being answered."""
    found: Request = request._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 - is there for this
    return found
