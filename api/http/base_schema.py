"""What all schemas of the API have in common."""

from typing import Any, Self

import marshmallow


class Schema(marshmallow.Schema):
    """A schema that is only read once it is made, and is therefore its own copy.

    flask-smorest copies what is documented of a handler at each of its decorators; the copies of the schemas in there
    were five MiB.
    """

    def __deepcopy__(self, _memo: dict[int, Any]) -> Self:
        return self
