"""The similarity of a text and a topic: the cosine of the angle between their embeddings.

In order of time: a caller asks about a text and a topic. The vector of a topic stays with it, for as long as the rule
that names it is in force. The vectors of the 1,000 texts asked about last are kept. Who asks about a text whose vector
is being computed waits for that one. What is left is asked of the provider, ``embed``. A provider that fails is left
alone for a while, in which everyone fails at once, and then tried by one call: its slowness holds no caller up twice.
"""

import hashlib
import math
import threading
import time
from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from operator import mul
from typing import Literal, Protocol

from event_loop.waiting import Event

#: texts whose vectors are kept
MAX_TEXTS = 1000
#: how long a provider that has failed is left alone, seconds
REST = 5.0
#: decimals of a similarity; the threshold is compared with what is shown
_DECIMALS = 4

Vector = Sequence[float]
Embed = Callable[[str], Iterable[float]]
Result = Literal["matched", "not_matched", "failed"]


class EmbeddingFailed(Exception):  # noqa: N818 - reads as the condition it is
    """A text has no vector; the message says why.

    ``retryable`` says whether it may have one later; ``of_text`` that this text alone is refused.
    """

    def __init__(self, message: str, *, retryable: bool = False, of_text: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.of_text = of_text


@dataclass(slots=True, eq=False)
class Topic:
    """What a rule compares texts with; ``vector`` is set by the first comparison."""

    text: str
    vector: Vector | None = None


class Meaning(Protocol):
    """What conditions ask about the meaning of texts."""

    @property
    def threshold(self) -> float:
        """The similarity that is enough where a rule does not say."""

    def similarity(self, topic: Topic, text: str) -> float:
        """The similarity of a text and a topic, from -1 to 1.

        Raises:
            EmbeddingFailed: it is not known.
        """

    def note(self, result: Result) -> None:
        """Count a comparison that a condition has made."""


class NoMeaning:
    """Where there is no provider of embeddings."""

    threshold = 1.0

    def similarity(self, topic: Topic, text: str) -> float:  # noqa: ARG002
        """Raises EmbeddingFailed."""
        raise EmbeddingFailed("no provider of embeddings is configured")

    def note(self, result: Result) -> None:
        """Count nothing."""


class Uncounted:
    """The meanings of another, for comparisons by which nothing is decided: they are counted nowhere."""

    def __init__(self, meaning: Meaning) -> None:
        self._meaning = meaning
        self.threshold = meaning.threshold

    def similarity(self, topic: Topic, text: str) -> float:
        """The similarity, as it is found."""
        return self._meaning.similarity(topic, text)

    def note(self, result: Result) -> None:
        """Count nothing."""


class Bounded(Uncounted):
    """The meanings of another for a time: what is asked later fails."""

    def __init__(self, meaning: Meaning, seconds: float) -> None:
        super().__init__(meaning)
        self._until = time.monotonic() + seconds

    def similarity(self, topic: Topic, text: str) -> float:
        """The similarity, as it is found.

        Raises:
            EmbeddingFailed: it is not known, or not in time.
        """
        if time.monotonic() > self._until:
            raise EmbeddingFailed("the provider of embeddings takes too long for all of them", retryable=True)
        return super().similarity(topic, text)


@dataclass(slots=True, eq=False)
class _Flight:
    """A vector that is being computed, and those that wait for it."""

    ended: Event = field(default_factory=Event)
    vector: Vector | None = None
    error: EmbeddingFailed | None = None


class Similarities:
    """Computes similarities by one provider; safe among threads, and greenlets of an event loop."""

    def __init__(
        self, embed: Embed, *, patience: float, note: Callable[[Literal["computed", "failed"]], object] | None = None
    ) -> None:
        """``patience`` is how long anyone waits for a vector, seconds; ``note`` hears what became of each call."""
        self._embed, self._patience = embed, patience
        self._note = note or (lambda _result: None)
        self._lock = threading.Lock()
        self._kept: OrderedDict[bytes, Vector] = OrderedDict()
        self._flights: dict[bytes, _Flight] = {}
        #: why the provider failed last, until it answers again; and when it may be tried
        self._failing: EmbeddingFailed | None = None
        self._rests_until = 0.0

    def similarity(self, topic: Topic, text: str) -> float:
        """The similarity of a text and a topic.

        Raises:
            EmbeddingFailed: one of them has no vector, or their vectors do not fit together.
        """
        wanted = topic.vector
        if wanted is None:
            wanted = topic.vector = self._vector(topic.text)
        found = self._vector(text)
        if len(found) != len(wanted):
            raise EmbeddingFailed(f"the provider gave vectors of {len(wanted)} and of {len(found)} numbers")
        cosine: float = sum(map(mul, found, wanted))
        return max(-1.0, min(1.0, round(cosine, _DECIMALS)))

    def _vector(self, text: str) -> Vector:
        key = hashlib.sha256(text.encode(errors="surrogatepass")).digest()
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None:
                self._kept.move_to_end(key)
                return kept
            flight = self._flights.get(key)
            if mine := flight is None:
                self._refuse_while_it_rests()
                flight = self._flights[key] = _Flight()
        return self._computed(text, key, flight) if mine else self._awaited(flight)

    def _refuse_while_it_rests(self) -> None:
        if self._failing is None:
            return
        now = time.monotonic()
        if now < self._rests_until:
            raise EmbeddingFailed(str(self._failing), retryable=self._failing.retryable)
        self._rests_until = now + REST  # this one tries whether it answers again

    def _awaited(self, flight: _Flight) -> Vector:
        if not flight.ended.wait(self._patience):
            raise EmbeddingFailed("the provider of embeddings takes too long", retryable=True)
        if flight.vector is None:
            error = flight.error or EmbeddingFailed("the computation was given up", retryable=True)
            raise EmbeddingFailed(str(error), retryable=error.retryable)
        return flight.vector

    def _computed(self, text: str, key: bytes, flight: _Flight) -> Vector:
        """The vector by the provider, for all who wait for it."""
        try:
            flight.vector = unit(self._embed(text))
        except EmbeddingFailed as error:
            flight.error = error
            self._note("failed")
            raise
        else:
            self._note("computed")
            return flight.vector
        finally:
            self._end(key, flight)

    def _end(self, key: bytes, flight: _Flight) -> None:
        with self._lock:
            del self._flights[key]
            if flight.vector is not None:
                self._failing = None
                self._kept[key] = flight.vector
                if len(self._kept) > MAX_TEXTS:
                    self._kept.popitem(last=False)
            elif flight.error is not None and not flight.error.of_text:
                self._failing, self._rests_until = flight.error, time.monotonic() + REST
        flight.ended.set()


def unit(values: Iterable[float]) -> Vector:
    """The vector of length one in the same direction.

    Raises:
        EmbeddingFailed: it has no direction.
    """
    try:
        vector = array("f", values)
    except OverflowError:  # an integer that no such number holds
        vector = array("f")
    length = math.sqrt(sum(map(mul, vector, vector)))
    if not length or not math.isfinite(length):
        raise EmbeddingFailed("the provider gave a vector without a direction", of_text=True)
    return array("f", (value / length for value in vector))
