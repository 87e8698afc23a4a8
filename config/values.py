"""The forms that values of settings may have.

Each function returns the value, or stops the process with one line that names the variable and says what to write. No
line shows a password.
"""

import difflib
import re
from urllib.parse import urlsplit

from environs import Env, EnvError

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
#: other words for levels
_LEVEL_WORDS = {"VERBOSE": "DEBUG", "TRACE": "DEBUG", "WARN": "WARNING", "FATAL": "CRITICAL", "NOTICE": "INFO"}
_RATE = re.compile(r"\s*[0-9]+\s*(/|per)\s*[0-9]*\s*(second|minute|hour|day|month|year)s?\s*", re.IGNORECASE)
_POSTGRESQL = "postgresql+psycopg://USER:PASSWORD@HOST/NAME"
_SQLITE = "sqlite:////PATH/tocsin.db"
_REDIS = ("redis", "rediss", "unix")
_BROKERS = ("redis", "rediss", "redis+socket", "sentinel", "amqp", "amqps", "pyamqp", "memory")


class SettingsError(SystemExit):
    """The environment describes no system that could run.

    It ends the process with one clear line.
    """


def one_of(name: str, given: str, words: tuple[str, ...]) -> str:
    """One of some words."""
    if given not in words:
        near = difflib.get_close_matches(given, words, n=1)
        meant = f"; did you mean {near[0]}?" if near else ""
        raise SettingsError(f"TOCSIN_{name}: {given!r} is none of {', '.join(words)}{meant}")
    return given


def level(given: str) -> str:
    """A level of log lines."""
    upper = given.upper()
    if upper in _LEVEL_WORDS:
        raise SettingsError(f"TOCSIN_LOG_LEVEL: {given!r} is none of {', '.join(_LEVELS)}: write {_LEVEL_WORDS[upper]}")
    return one_of("LOG_LEVEL", upper, _LEVELS)


def whole(reader: Env, name: str, default: int, least: int = 0, most: int = 2**31) -> int:
    """A whole number within bounds."""
    try:
        found = reader.int(name, default)
    except EnvError:
        raise SettingsError(f"TOCSIN_{name} must be a whole number, for example {default}") from None
    if not least <= found <= most:
        up_to = f" to {most}" if most < 2**31 else " or more"
        raise SettingsError(f"TOCSIN_{name} must be {least}{up_to}, not {found}; for example {default}")
    return found


def share(reader: Env, name: str) -> float | None:
    """A number above 0 and at most 1; None where it is empty."""
    text = reader.str(name, "").strip()
    try:
        found = float(text) if text else None
    except ValueError:
        found = 0.0
    if found is not None and not 0 < found <= 1:
        raise SettingsError(f"TOCSIN_{name} must be a number above 0 and at most 1, for example 0.3")
    return found


def header_text(name: str, text: str) -> str:
    """What can stand in a header of a request; the text is a credential, which the message does not show."""
    text = text.strip()
    if not all("!" <= one <= "~" for one in text):
        raise SettingsError(f"TOCSIN_{name}: must be letters, digits and signs of ASCII, without spaces")
    return text


def flag(reader: Env, name: str, *, default: bool) -> bool:
    """True or false."""
    try:
        return reader.bool(name, default)
    except EnvError:
        raise SettingsError(f"TOCSIN_{name} must be true or false") from None


def rate(text: str) -> str:
    """A number of requests in a time."""
    if not _RATE.fullmatch(text):
        raise SettingsError(f"TOCSIN_RATE_LIMIT: {text!r} is no rate: write for example 6000/minute or 100/second")
    return text


def database(url: str) -> str:
    """The URL of a database that has a driver here."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in ("sqlite", "postgresql+psycopg"):
        if scheme.partition("+")[0] in ("postgres", "postgresql"):
            raise SettingsError(f"TOCSIN_DATABASE_URL: write {_POSTGRESQL}, beginning so, instead of {scheme}://…")
        shown = f"{scheme[:32]}://…" if separator else "a text without ://"
        raise SettingsError(f"TOCSIN_DATABASE_URL: {shown} is no database here: write {_POSTGRESQL} or {_SQLITE}")
    if scheme == "sqlite" and not rest.startswith("/"):
        raise SettingsError(f"TOCSIN_DATABASE_URL: write three slashes, or four before a whole path: {_SQLITE}")
    if scheme != "sqlite":
        _check_address("DATABASE_URL", url, _POSTGRESQL)
    return url


def web_address(name: str, url: str) -> str:
    """The address of a web server, without the slash at its end; "" stays so."""
    if not url:
        return ""
    _with_scheme(f"TOCSIN_{name}", url, ("http", "https"), "https://tocsin.example.org")
    parts = urlsplit(url)
    if parts.query or parts.fragment or parts.username or not parts.hostname or any(one.isspace() for one in url):
        raise SettingsError(f"TOCSIN_{name}: must be an address such as https://tocsin.example.org")
    return url.rstrip("/")


def redis(url: str) -> str:
    """The URL of a Redis server."""
    return _with_scheme("REDIS_URL", url, _REDIS, "redis://HOST:6379/0 or unix:///PATH/redis.sock")


def broker(url: str) -> str:
    """The URL of a message broker, in kombu's spelling."""
    return _with_scheme("BROKER_URL", url, _BROKERS, "redis://HOST:6379/0 or amqp://USER:PASSWORD@HOST//")


def _with_scheme(name: str, url: str, schemes: tuple[str, ...], example: str) -> str:
    scheme, separator, _ = url.partition("://")
    if not separator or scheme not in schemes:
        shown = f"{scheme[:32]}:// is not supported" if separator else "the URL has no ://"
        raise SettingsError(f"TOCSIN_{name}: {shown}: write {example}")
    if scheme not in ("unix", "redis+socket", "memory"):
        _check_address(name, url, example)
    return url


def _check_address(name: str, url: str, example: str) -> None:
    """Stop for a port that is no number, as after a password with an unescaped '/' or '@'."""
    if "," in url or ";" in url:  # several servers, which drivers read in their own way
        return
    try:
        _ = urlsplit(url).port
    except ValueError:
        words = "its port is no number; in a password write %2F for '/', %40 for '@', %23 for '#'"
        raise SettingsError(f"TOCSIN_{name} cannot be read: {words}: {example}") from None
