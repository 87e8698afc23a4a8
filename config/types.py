"""Types that every layer shares."""

from typing import Any

#: a JSON object
Json = dict[str, Any]
