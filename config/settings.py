"""All settings, read once from the environment (``TOCSIN_``, ``OTEL_``) and ``.env``.

Nothing else in the project reads the environment. A wrong value stops the process at start with a message that names
the variable. Secrets have no default outside development. ``Settings``, ``load``, docs/settings.md and .env.example
have the same groups in the same order; a test in ``tests/house`` compares them.
"""

import contextlib
import functools
import ipaddress
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from environs import Env

from config import embeddings, values
from config.embeddings import Embeddings
from config.values import SettingsError

__all__ = [
    "FORMER",
    "TOCSIN_IDENTITY",
    "Network",
    "Settings",
    "SettingsError",
    "environment",
    "former_names",
    "load",
    "settings",
]

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: the author that exported CACAO documents name, unless the operator names another
TOCSIN_IDENTITY = "identity--9b6d5a30-7f1e-4c8d-b2a4-1d3e5f708192"
_IDENTITY = re.compile(r"identity--[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")

#: a random key of this length is beyond guessing even in hexadecimal digits; one in a thousand million has fewer
#: different characters than this
_SHORTEST_KEY, _FEWEST_CHARACTERS = 32, 7
#: words of placeholders; a short one must stand alone, so that one random key in millions has any of them
_SAID = re.compile(r"change|secret|password|example|default|(?<![a-z0-9])your(?![a-z0-9])", re.IGNORECASE)
_GENERATE = "generate one with python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"


#: what SQLite knows
_SYNC = ("OFF", "NORMAL", "FULL", "EXTRA")
#: setting → its former name, which still works until the next release
FORMER = {"SLOW_CONCURRENCY": "PATIENT_CONCURRENCY"}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The operator's settings, in groups.

    Durations are in seconds unless the name says otherwise.
    """

    # The installation
    #: ``development`` allows friendly defaults
    env: str
    #: data: the SQLite file, the embedded Redis, logs and keys of ``make run``
    var_dir: Path
    #: configuration that the operator writes
    config_dir: Path
    #: the folders of the operator's own Python actions
    actions_dir: tuple[Path, ...]
    #: the least important log lines that are written
    log_level: str
    #: ``json`` or ``console``
    log_format: str

    # The API
    #: address that the API and Flower listen on
    host: str
    #: port of the API
    port: int
    #: proxies whose forwarding headers count
    proxies: tuple[Network, ...]
    #: requests that one key may make
    rate_limit: str
    #: how long an ``Idempotency-Key`` is remembered
    idempotency_hours: int
    #: the longest that an API key may live; 0: as long as is asked for
    max_key_days: int
    #: how long a user who has signed in stays so
    session_seconds: int
    #: how long a dispatch waits for its outcome
    dispatch_wait: int
    #: how many dispatches may wait in a process at the same time
    dispatch_waiters: int
    #: silences of one tenant and its children that have not ended
    tenant_silences: int
    #: whether streams are served
    stream: str
    #: streams that a tenant may have open, over all processes
    streams: int
    #: recurring actions that a tenant may have in a namespace
    recurring_most: int
    #: the address under which people reach the API, which links in messages begin with; empty: host and port
    public_url: str

    # The database
    #: SQLite, or PostgreSQL for more than one machine
    database_url: str
    #: ``NORMAL``, or ``FULL`` to survive a power cut too
    sqlite_synchronous: str
    #: how long ended executions are kept
    retention_days: int
    #: how long what dispatches carried that made no execution is kept
    payload_days: int
    #: how long rows of the audit trail are kept; 0: for ever
    audit_days: int
    #: the provider that sends the newest seal of the audit trail elsewhere, each hour; empty: it is logged
    audit_anchor: str

    # Redis and the broker
    #: rate limits and counts, and messages unless ``broker_url`` says otherwise
    redis_url: str
    #: whether the distribution has fixed the known vulnerabilities of an old Redis
    redis_patched: bool
    #: where messages go, in kombu's spelling
    broker_url: str

    # Secrets
    #: the root keys: the first seals, all open
    secret_keys: tuple[str, ...]
    #: the keys of links that decide about approvals: the first signs, all verify; none: keys from the root keys
    approval_keys: tuple[str, ...]
    #: whether values sealed by earlier versions ``open`` or are refused
    sealed_old: str
    #: how long the secret parameters of ended runs are kept for a retry
    sealed_hours: int

    # Workers
    #: how long a silent worker keeps an execution
    lease_seconds: int
    #: how long a worker that stops may finish its work
    drain_seconds: int
    #: outside calls that one worker makes at once
    steps_concurrency: int
    #: the same in the worker that takes over slow calls
    slow_concurrency: int
    #: scripts and Python actions that one worker runs at once
    scripts_concurrency: int
    #: time budget of outside calls within which a worker executes consecutive steps of a run itself, ms
    in_place_ms: int

    # Outside calls and scripts
    #: private addresses that actions may call
    egress_allow: tuple[Network, ...]
    #: path of bubblewrap; empty: the one that is found
    bwrap: str

    # Embeddings
    #: what compares texts by meaning, in variables of its own
    embeddings: Embeddings

    # CACAO
    #: the STIX identity of exported documents
    cacao_identity: str
    #: the private key that signs exports
    cacao_signing_key: Path | None
    #: the name of who signs
    cacao_signee: str

    # Spans
    #: the OTLP receiver of spans, with the path; empty: none are exported
    spans_endpoint: str

    @property
    def chords_url(self) -> str:
        """Where Celery counts the members of chords: Redis, whatever the broker is."""
        return _broker(self.redis_url)

    @property
    def redis_is_broker(self) -> bool:
        """Whether messages live in the same Redis as everything else."""
        return self.broker_url == _broker(self.redis_url)

    @property
    def secret_key(self) -> str:
        """The key that everything new is made with."""
        return self.secret_keys[0]

    @property
    def development(self) -> bool:
        """Whether defaults may be friendly instead of safe."""
        return self.env == "development"


def _networks(name: str, text: str) -> tuple[Network, ...]:
    try:
        return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise SettingsError(f"TOCSIN_{name}: {error}; write CIDRs such as 10.0.0.0/8,192.168.1.7/32") from error


def _folders(text: str) -> tuple[Path, ...]:
    """The folders of a list in the form of PATH, each once."""
    return tuple(dict.fromkeys(Path(part).absolute() for part in text.split(os.pathsep) if part))


def _broker(redis_url: str) -> str:
    """Kombu's spelling of a redis-py URL (they differ for Unix sockets)."""
    if redis_url.startswith("unix://"):
        path, _, query = redis_url.removeprefix("unix://").partition("?")
        number = dict(part.partition("=")[::2] for part in query.split("&")).get("db", "0")
        return f"redis+socket://{path}?virtual_host={number or 0}"
    return redis_url


def _secret_keys(one: str, several: str, env: str, var_dir: Path) -> tuple[str, ...]:
    """The root keys that protect what is in the database.

    In development one is made and kept next to the data.
    """
    if one and several:
        raise SettingsError("TOCSIN_SECRET_KEY and TOCSIN_SECRET_KEYS are both set: put every key into the second")
    if one:
        return (_sound_key("TOCSIN_SECRET_KEY", one),)
    if several:
        return _several_keys("SECRET_KEYS", several)
    if env != "development":
        raise SettingsError(f"TOCSIN_SECRET_KEY is not set: {_GENERATE} and keep it safe")
    return (_generated_key(var_dir),)


def _several_keys(name: str, text: str) -> tuple[str, ...]:
    keys = [key.strip() for key in text.split(",")] if text else []
    return tuple(dict.fromkeys(_sound_key(f"each key of TOCSIN_{name}", key) for key in keys))


def _sound_key(name: str, key: str) -> str:
    """The key, unless it can be guessed.

    A key can be guessed if a person made it up instead of drawing it at random.
    """
    repeats = key in (key + key)[1:-1]
    if len(key) < _SHORTEST_KEY or len(set(key)) < _FEWEST_CHARACTERS or repeats or _SAID.search(key):
        raise SettingsError(f"{name} must be at least {_SHORTEST_KEY} random characters: {_GENERATE}")
    return key


def _generated_key(var_dir: Path) -> str:
    path = var_dir / "secret.key"
    if not path.exists():
        var_dir.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(f".{secrets.token_hex(4)}")
        fresh.touch(mode=0o600)
        fresh.write_text(secrets.token_urlsafe(48))
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(fresh)  # the first process wins; all read the same key
        fresh.unlink()
    return path.read_text().strip()


def _identity(text: str) -> str:
    if not _IDENTITY.fullmatch(text):
        raise SettingsError(f"TOCSIN_CACAO_IDENTITY: {text!r} is not of the form identity--UUID")
    return text


def _signing_key(text: str) -> Path | None:
    """The path of the private key.

    Whether the key can be read is checked now and not at the first export.
    """
    if not text:
        return None
    path = Path(text).absolute()
    try:
        found = path.read_text(errors="replace")
    except OSError as error:
        raise SettingsError(f"TOCSIN_CACAO_SIGNING_KEY: {path} cannot be read: {error.strerror}") from error
    if "PRIVATE KEY-----" not in found:
        raise SettingsError(f"TOCSIN_CACAO_SIGNING_KEY: {path} holds no private key in PEM")
    return path


def _reader() -> Env:
    """What reads our variables, once those of ``.env`` are in the environment."""
    reader = Env(prefix="TOCSIN_")
    reader.read_env(Path.cwd() / ".env", recurse=False)
    return reader


def _spans_endpoint(reader: Env) -> str:
    """The address by the variables that every program with spans has."""
    if reader.str("SDK_DISABLED", "").strip().lower() == "true":
        return ""
    base = reader.str("EXPORTER_OTLP_ENDPOINT", "").strip().rstrip("/")
    return reader.str("EXPORTER_OTLP_TRACES_ENDPOINT", "").strip() or (f"{base}/v1/traces" if base else "")


def load() -> Settings:
    """Read the environment now.

    Raises:
        SettingsError: a variable is missing or cannot be understood.
    """
    reader = _reader()
    env = reader.str("ENV", "production")
    var_dir = Path(reader.str("VAR_DIR", "var")).absolute()
    config_dir = Path(reader.str("CONFIG_DIR", str(var_dir / "config"))).absolute()
    redis_url = values.redis(reader.str("REDIS_URL", "redis://127.0.0.1:6379/0"))
    synchronous = reader.str("SQLITE_SYNCHRONOUS", "NORMAL").upper()
    return Settings(
        env=env,
        var_dir=var_dir,
        config_dir=config_dir,
        actions_dir=_folders(reader.str("ACTIONS_DIR", str(config_dir / "actions"))),
        log_level=values.level(reader.str("LOG_LEVEL", "INFO")),
        log_format=values.one_of("LOG_FORMAT", reader.str("LOG_FORMAT", "json"), ("json", "console")),
        host=reader.str("HOST", "127.0.0.1"),
        port=values.whole(reader, "PORT", 8080, most=65_535),
        proxies=_networks("PROXIES", reader.str("PROXIES", "")),
        rate_limit=values.rate(reader.str("RATE_LIMIT", "6000/minute")),
        idempotency_hours=values.whole(reader, "IDEMPOTENCY_HOURS", 24, least=1),
        max_key_days=values.whole(reader, "MAX_KEY_DAYS", 0),
        session_seconds=values.whole(reader, "SESSION_SECONDS", 3600, least=60, most=604_800),
        dispatch_wait=values.whole(reader, "DISPATCH_WAIT", 30, most=300),
        dispatch_waiters=values.whole(reader, "DISPATCH_WAITERS", 500),
        tenant_silences=values.whole(reader, "TENANT_SILENCES", 500, least=1, most=5_000),
        stream=values.one_of("STREAM", reader.str("STREAM", "on"), ("on", "off")),
        streams=values.whole(reader, "STREAMS", 10, least=1),
        recurring_most=values.whole(reader, "RECURRING_MOST", 1_000),
        public_url=values.web_address("PUBLIC_URL", reader.str("PUBLIC_URL", "")),
        database_url=values.database(reader.str("DATABASE_URL", "") or f"sqlite:///{var_dir / 'tocsin.db'}"),
        sqlite_synchronous=values.one_of("SQLITE_SYNCHRONOUS", synchronous, _SYNC),
        retention_days=values.whole(reader, "RETENTION_DAYS", 90, least=1),
        payload_days=values.whole(reader, "PAYLOAD_DAYS", 30, least=1),
        audit_days=values.whole(reader, "AUDIT_DAYS", 0),
        audit_anchor=reader.str("AUDIT_ANCHOR", "").strip(),
        redis_url=redis_url,
        redis_patched=values.flag(reader, "REDIS_PATCHED", default=False),
        broker_url=values.broker(reader.str("BROKER_URL", "") or _broker(redis_url)),
        secret_keys=_secret_keys(reader.str("SECRET_KEY", ""), reader.str("SECRET_KEYS", ""), env, var_dir),
        approval_keys=_several_keys("APPROVAL_KEYS", reader.str("APPROVAL_KEYS", "")),
        sealed_old=values.one_of("SEALED_OLD", reader.str("SEALED_OLD", "open"), ("open", "refuse")),
        sealed_hours=values.whole(reader, "SEALED_HOURS", 72),
        lease_seconds=values.whole(reader, "LEASE_SECONDS", 30, least=1),
        drain_seconds=values.whole(reader, "DRAIN_SECONDS", 25),
        steps_concurrency=values.whole(reader, "STEPS_CONCURRENCY", 16, least=1),
        slow_concurrency=values.whole(reader, "SLOW_CONCURRENCY", values.whole(reader, FORMER["SLOW_CONCURRENCY"], 64)),
        scripts_concurrency=values.whole(reader, "SCRIPTS_CONCURRENCY", 2, least=1),
        in_place_ms=values.whole(reader, "IN_PLACE_MS", 250),
        egress_allow=_networks("EGRESS_ALLOW", reader.str("EGRESS_ALLOW", "")),
        bwrap=reader.str("BWRAP", ""),
        embeddings=embeddings.read(reader),
        cacao_identity=_identity(reader.str("CACAO_IDENTITY", TOCSIN_IDENTITY)),
        cacao_signing_key=_signing_key(reader.str("CACAO_SIGNING_KEY", "")),
        cacao_signee=reader.str("CACAO_SIGNEE", "Tocsin"),
        spans_endpoint=_spans_endpoint(Env(prefix="OTEL_")),
    )


def former_names() -> dict[str, str]:
    """The variables set under a former name, with the present name."""
    reader = Env(prefix="TOCSIN_")
    return {f"TOCSIN_{old}": f"TOCSIN_{new}" for new, old in FORMER.items() if reader.str(old, None) is not None}


def environment() -> dict[str, str]:
    """What ``${NAME}`` in the configuration of providers may refer to: everything but Tocsin's own settings."""
    everything = os.environ.items()  # noqa: TID251 - settings and this are what the module reads it for
    return {name: value for name, value in everything if not name.startswith("TOCSIN_")}


@functools.lru_cache(maxsize=1)  # unlike functools.cache it keeps the first answer when two threads ask at once
def settings() -> Settings:
    """The settings of this process."""
    return load()
