"""The base class of all schemas of the API."""

from typing import Any, Self

import marshmallow


class Schema(marshmallow.Schema):
    """A schema that never changes once made, and is its own copy.

    flask-smorest copies the documentation of a handler at each of its decorators; the copies of the schemas in there
    were five MiB.
    """

    def __deepcopy__(self, _memo: dict[int, Any]) -> Self:
        return self
