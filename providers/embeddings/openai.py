"""A server with OpenAI's interface for embeddings.

Each call sends the text as ``POST URL/embeddings`` through ``providers.egress.client``, with the key, and reads the
vector from the answer. Messages of failures name the server and the status; they quote neither the text nor the answer.
"""

import json
import time
from typing import Any

from config.embeddings import Embeddings
from providers.base import Call, ProviderError, TimedOut
from providers.egress import client
from providers.egress.client import Request, Response

#: model → the similarity of texts that mean the same, by what its users publish; others are near 0.8
THRESHOLDS = {"text-embedding-3-small": 0.3, "text-embedding-3-large": 0.3, "text-embedding-ada-002": 0.8}
USUAL_THRESHOLD = 0.8

_RETRYABLE = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
#: the server refuses this text, and would take another
_OF_TEXT = frozenset({400, 413, 422})
_MAX_NUMBERS = 16_384


class Server:
    """The server that the settings name."""

    def __init__(self, chosen: Embeddings) -> None:
        self._url = f"{chosen.url}/embeddings"
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if chosen.key:
            self._headers["Authorization"] = f"Bearer {chosen.key}"
        self._model = chosen.model
        self._seconds = chosen.timeout_ms / 1000
        #: it waits for another system, and lets the event loop of a worker go on meanwhile
        self.waits = True
        self.threshold = THRESHOLDS.get(self._model, USUAL_THRESHOLD)

    def is_quick(self, text: str) -> bool:  # noqa: ARG002 - of another model it depends on the text
        """Whether a vector comes within a few milliseconds: not from elsewhere."""
        return False

    def embed(self, text: str) -> list[float]:
        """The vector of a text.

        Raises:
            ProviderError: there is none; ``details`` say whether it is the text's fault (``of_text``).
        """
        body = json.dumps({"model": self._model, "input": text, "encoding_format": "float"}).encode()
        call = Call(
            execution_id="",
            idempotency_key="",
            config={},
            parameters={},
            context={},
            expires_at=time.monotonic() + self._seconds,
            timeout_seconds=self._seconds,
        )
        try:
            found = client.send(Request("POST", self._url, self._headers, body, "embeddings request"), call)
        except TimedOut:
            words = f"the embeddings request was not answered within {self._seconds:g} s"
            raise ProviderError("http_timeout", words, retryable=True) from None
        return _vector(found)


def _vector(found: Response) -> list[float]:
    """The vector in an answer."""
    if found.status // 100 != 2:  # noqa: PLR2004
        raise ProviderError(
            "http_status",
            f"the embeddings request was answered with {found.status}",
            retryable=found.status in _RETRYABLE,
            details={"status": found.status, "of_text": found.status in _OF_TEXT},
        )
    try:
        values = json.loads(found.body)["data"][0]["embedding"]
    except (ValueError, LookupError, TypeError, RecursionError):
        values = None
    if not isinstance(values, list) or not 1 <= len(values) <= _MAX_NUMBERS or not all(map(_is_number, values)):
        raise ProviderError("response_unreadable", "the embeddings request was answered without a vector")
    return values


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
