"""What texts mean, by the provider of embeddings that the settings name.

In order of time: a condition asks ``HERE`` for the similarity of a text and a topic (``gateway.semantics.similarity``);
a vector that is not kept is computed by the provider, outside of the event loop of a process of the API or a worker
unless it is quick; the results are counted here, and the follower of the configuration adds them to the numbers of the
installation (``tell``). Nothing is made or imported before something asks.
"""

import contextlib
import functools
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

from config.settings import settings
from event_loop import loop
from event_loop.waiting import inside
from gateway.facts import Facts
from gateway.rules.conditions import Condition, Evaluation
from gateway.rules.recorded import NothingRecorded
from gateway.rules.rule import Rule
from gateway.semantics.similarity import Bounded, EmbeddingFailed, Meaning, NoMeaning, Result, Similarities, Topic
from providers.base import Abandoned, ProviderError
from store import metrics
from store.engine import db
from store.engine.aside import has_loop
from store.metrics import Series

#: vectors that are computed at once outside of an event loop
AT_ONCE = 4
#: how much longer than the provider may take anyone waits, seconds: for a thread that is free
_MORE = 0.5
#: how long vectors for one explanation may take in all, seconds
LONGEST = 5.0
#: the names of the numbers: conditions decided, and calls of the provider
COMPARISONS, EMBEDDINGS = "semantic_comparisons", "embeddings"


class Provider(Protocol):
    """What turns texts into vectors."""

    #: the similarity that is enough where a rule does not say
    threshold: float
    #: whether it waits for another system, as all outside calls do
    waits: bool

    def is_quick(self, text: str) -> bool:
        """Whether a vector comes within a few milliseconds."""

    def embed(self, text: str) -> Sequence[float]:
        """The vector of a text. Raises ProviderError."""


def is_configured() -> bool:
    """Whether there is a provider of embeddings."""
    return settings().embeddings.provider != "none"


def is_local() -> bool:
    """Whether vectors are computed on this machine: they cost nothing and reveal nothing."""
    return settings().embeddings.provider == "local"


def load_shared() -> None:
    """Load the local model if it is configured: in the parent of workers, which then share it.

    Where it cannot be loaded, the comparisons fail and say why.
    """
    if is_local():
        with contextlib.suppress(ProviderError):
            _model().load()


def _model() -> Any:
    from providers.embeddings.local import MODEL

    return MODEL


def _provider() -> Provider:
    if is_local():
        model: Provider = _model()
        return model
    from providers.embeddings.openai import Server  # brings all that outside calls need

    return Server(settings().embeddings)


class Meanings:
    """The meanings by the provider that is configured, made when something asks."""

    def __init__(self, note: Callable[[str, str], object] = lambda _name, _result: None) -> None:
        """``note`` hears what is counted: the name of a number, and a result."""
        self._note = note
        self._lock = threading.Lock()
        self._made: tuple[Provider, Similarities] | None = None

    def _get(self) -> tuple[Provider, Similarities]:
        with self._lock:
            if self._made is None:
                provider = _provider()
                embed = functools.partial(_embed, provider)
                computed = functools.partial(self._note, EMBEDDINGS)
                self._made = provider, Similarities(embed, patience=_patience(), note=computed)
            return self._made

    def forget(self) -> None:
        """Make another provider when something asks; for tests that change the settings."""
        self._made = None

    @property
    def threshold(self) -> float:
        """The similarity that is enough where a rule does not say."""
        if not is_configured():
            return NoMeaning.threshold
        chosen = settings().embeddings.threshold
        return self._get()[0].threshold if chosen is None else chosen

    def similarity(self, topic: Topic, text: str) -> float:
        """The similarity of a text and a topic.

        Raises:
            EmbeddingFailed: it is not known.
        """
        if not is_configured():
            return NoMeaning().similarity(topic, text)
        return self._get()[1].similarity(topic, text)

    def note(self, result: Result) -> None:
        """Count a comparison of a condition."""
        self._note(COMPARISONS, result)


def _patience() -> float:
    return settings().embeddings.timeout_ms / 1000 + _MORE


def _embed(provider: Provider, text: str) -> Sequence[float]:
    try:
        if provider.is_quick(text) or (inside() and provider.waits):
            return provider.embed(text)
        if inside() or not has_loop():
            return loop.offload(provider.embed, text)
        return _outside(functools.partial(provider.embed, text))
    except ProviderError as error:
        of_text = bool(error.details.get("of_text"))
        raise EmbeddingFailed(str(error), retryable=error.retryable, of_text=of_text) from error
    except Abandoned:
        raise EmbeddingFailed("the computation was given up", retryable=True) from None


def _outside(work: Callable[[], Sequence[float]]) -> Sequence[float]:
    """What ``work()`` returns or raises in a native thread, while the event loop serves others."""
    from gevent import Timeout

    with Timeout(_patience(), EmbeddingFailed("the provider of embeddings takes too long", retryable=True)):
        found, error = _threads().spawn(_outcome, work).get()
    if error is not None:
        raise error
    return found  # type: ignore[no-any-return]


def _outcome(work: Callable[[], Sequence[float]]) -> tuple[Sequence[float], Exception | None]:
    try:
        return work(), None
    except Exception as error:  # noqa: BLE001 - raised again where the call came from
        return [], error


@functools.cache
def _threads() -> Any:
    from gevent.threadpool import ThreadPool  # only in a process that has it

    return ThreadPool(AT_ONCE)


class _Counts:
    """What this process has counted and not added yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers: Counter[Series] = Counter()

    def note(self, name: str, result: str) -> None:
        with self._lock:
            self._numbers[Series(name, labels=(result,))] += 1

    @contextlib.contextmanager
    def taken(self) -> Iterator[Counter[Series]]:
        """The numbers, which are as they were if the block fails."""
        with self._lock:
            numbers, self._numbers = self._numbers, Counter()
        try:
            yield numbers
        except BaseException:
            with self._lock:
                self._numbers.update(numbers)
            raise


_counts = _Counts()
#: the meanings by which this process decides
HERE = Meanings(_counts.note)


def tell() -> None:
    """Add what was counted here to the numbers of the installation; nothing where nothing was.

    Raises:
        Unavailable: the database is away; they are added later.
    """
    with _counts.taken() as numbers:
        if numbers:
            with db.write() as connection:
                metrics.add(connection, numbers)


def prepared(rules: Iterable[Rule], facts: Facts) -> Meaning:
    """Meanings for one explanation by these rules, with the vectors at hand that it may ask for.

    Who explains holds up others meanwhile, and so has little left to ask the provider.
    """
    found = Bounded(HERE, LONGEST)
    this = Evaluation(NothingRecorded(), meaning=found)
    for rule in rules:
        if rule.concerns(facts.key) is not False:
            for compare in _comparisons(rule.condition):
                compare(facts, this)
    return found


def _comparisons(condition: Condition) -> Iterator[Callable[[Facts, Evaluation], Any]]:
    if condition.compare is not None:
        yield condition.compare
    for part in condition.parts:
        yield from _comparisons(part)
