"""The settings of comparisons by meaning, ``TOCSIN_EMBEDDINGS_*``: a part of ``config.settings``."""

from dataclasses import dataclass, field

from environs import Env

from config import values


@dataclass(frozen=True, kw_only=True)
class Embeddings:
    """What turns texts into vectors."""

    #: ``none``, ``local`` or ``openai``
    provider: str
    #: of ``openai``: where the interface is, below which ``/embeddings`` is asked
    url: str
    #: its key; empty: none is sent
    key: str = field(repr=False)
    #: its model
    model: str
    #: the similarity that is enough where a rule does not say; None: the model's
    threshold: float | None
    #: how long a vector may take, ms
    timeout_ms: int


def read(reader: Env) -> Embeddings:
    """The settings, by the variables behind the prefix of the reader.

    Raises:
        SettingsError: one cannot be understood.
    """
    provider = reader.str("EMBEDDINGS_PROVIDER", "none")
    return Embeddings(
        provider=values.one_of("EMBEDDINGS_PROVIDER", provider, ("none", "local", "openai")),
        url=values.web_address("EMBEDDINGS_URL", reader.str("EMBEDDINGS_URL", "https://api.openai.com/v1")),
        key=values.header_text("EMBEDDINGS_KEY", reader.str("EMBEDDINGS_KEY", "")),
        model=reader.str("EMBEDDINGS_MODEL", "text-embedding-3-small").strip(),
        threshold=values.share(reader, "EMBEDDINGS_THRESHOLD"),
        timeout_ms=values.whole(reader, "EMBEDDINGS_TIMEOUT_MS", 2_000, least=50, most=30_000),
    )
