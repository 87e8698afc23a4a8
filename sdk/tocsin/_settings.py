"""Where the server is, and with which key: the first of these that says so.

1. the arguments of the client; 2. ``TOCSIN_URL`` and ``TOCSIN_API_KEY``; 3. the profile named by an argument or by
``TOCSIN_PROFILE``; 4. the default profile of ``~/.config/tocsin/config.toml``; 5. a checkout that runs in this folder
or one above it. Address and key of a profile or a checkout belong together: a key is never sent to an address that it
was not given for.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import stat
import sys
from pathlib import Path
from typing import Any, Dict, Mapping, NamedTuple, Optional
from urllib.parse import urlsplit

from tocsin._errors import ConfigurationError

_KEY = re.compile(r"[\x21-\x7e]+")
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class Key:
    """An API key that is not shown by accident."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The key itself."""
        return self._value

    def __repr__(self) -> str:
        return f"{self._value[:8]}…" if self._value.startswith("tcn_") and len(self._value) > 20 else "…"

    __str__ = __repr__


class Settings(NamedTuple):
    """The address of a server and a key for it."""

    url: str
    key: Optional[Key]


def settings(
    url: Optional[str], api_key: Optional[str], profile: Optional[str] = None, *, insecure: bool = False
) -> Settings:
    """The settings in force.

    Raises:
        ConfigurationError: nothing says where the server is, or what says so must not be used.
    """
    url = url or os.environ.get("TOCSIN_URL")
    api_key = api_key or os.environ.get("TOCSIN_API_KEY")
    if not (url and api_key):
        url, api_key = _completed(url, api_key, profile or os.environ.get("TOCSIN_PROFILE"))
    if not url:
        raise ConfigurationError(
            "No server is named: pass url= and api_key=, set TOCSIN_URL and TOCSIN_API_KEY, write a profile to "
            f"{config_file()}, or start one with `make run` in a checkout and call this from there."
        )
    if api_key and not _KEY.fullmatch(api_key):
        raise ConfigurationError("The API key has characters that no key has; is there a line break in it?")
    return Settings(_checked(url, insecure=insecure), Key(api_key) if api_key else None)


def _completed(
    url: Optional[str], api_key: Optional[str], profile: Optional[str]
) -> tuple[Optional[str], Optional[str]]:
    """What a profile or a running checkout adds to what is given."""
    for found in (_profile(profile), {} if profile else running_checkout(Path.cwd())):
        if found.get("url") and (url is None or _same(url, found["url"])):
            return url or found["url"], api_key or found.get("api_key")
    return url, api_key


def _same(one: str, other: str) -> bool:
    return one.rstrip("/") == other.rstrip("/")


def _checked(url: str, *, insecure: bool) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(f"{url!r} is not an address such as https://tocsin.example.com")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ConfigurationError("The address of a server has no user, no query and no fragment.")
    if parts.scheme == "http" and not insecure and not is_loopback(parts.hostname):
        raise ConfigurationError(
            f"{url} is not encrypted, and the key would be sent in clear: use https, or pass insecure=True."
        )
    return url.rstrip("/")


def is_loopback(host: str) -> bool:
    """Whether what is sent to a host stays on this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def config_file() -> Path:
    """The file with the profiles."""
    home = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(home) / "tocsin" / "config.toml"


def profiles() -> Dict[str, Any]:
    """The whole file with the profiles; empty where there is none.

    Raises:
        ConfigurationError: others can read it, or it cannot be understood.
    """
    path = config_file()
    try:
        with path.open("rb") as file:
            if os.name == "posix" and os.fstat(file.fileno()).st_mode & _OTHERS:
                raise ConfigurationError(f"{path} holds keys and others can read it: chmod 600 {path}")
            return _toml(path, file.read().decode())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from None


def _toml(path: Path, text: str) -> Dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        try:
            import tomli as tomllib
        except ModuleNotFoundError:
            raise ConfigurationError(
                f"Reading {path} takes tomli before Python 3.11: pip install 'tocsin[cli]'"
            ) from None
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path} is not TOML: {error}") from None


def _profile(name: Optional[str]) -> Mapping[str, str]:
    known = profiles()
    named: Dict[str, Any] = known.get("profiles", {})
    wanted = name or known.get("default") or "default"
    found = named.get(wanted)
    if found is None and (name or known.get("default")):
        have = f"it has {', '.join(sorted(named))}" if named else "it has none"
        raise ConfigurationError(f"There is no profile {wanted!r} in {config_file()}; {have}.")
    return {member: str(value) for member, value in (found or {}).items()}


def running_checkout(folder: Path) -> Mapping[str, str]:
    """Address and key of the checkout of Tocsin that runs in a folder or above it; empty where none does."""
    for place in (folder, *folder.parents):
        lock = place / "var" / "launcher.lock"
        if not lock.is_file() or not (place / "launcher" / "__main__.py").is_file():
            continue
        try:
            facts = json.loads(lock.read_text())
            os.kill(int(facts["pid"]), 0)
            return {"url": str(facts["url"]), "api_key": (place / "var" / "demo.key").read_text().strip()}
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return {}
