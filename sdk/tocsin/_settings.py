"""Where the server is, and with which key: the first of these that says so.

1. the arguments of the client, of which one may name a profile; 2. ``TOCSIN_URL`` and ``TOCSIN_API_KEY``; 3. the
profile named by ``TOCSIN_PROFILE``; 4. the default profile of ``~/.config/tocsin/config.toml``; 5. a checkout that runs
in this folder or one above it. Address and key of the environment, a profile or a checkout belong together: a key is
never sent to an address that it was not given for. Keys are held as ``Key``, so that a traceback with the values of
variables masks them.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import stat
import sys
from pathlib import Path
from typing import Any, BinaryIO, Dict, List, Mapping, NamedTuple, Optional, Union
from urllib.parse import urlsplit

from tocsin._errors import ConfigurationError

_BLANK = re.compile(r"[\s\x00-\x1f\x7f]")
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

    def is_sound(self) -> bool:
        """Whether it has only characters that a key has."""
        return _KEY.fullmatch(self._value) is not None

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return f"{self._value[:8]}…" if self._value.startswith("tcn_") and len(self._value) > 20 else "…"

    __str__ = __repr__


class Settings(NamedTuple):
    """The address of a server and a key for it."""

    url: str
    key: Optional[Key]


def settings(
    url: Optional[str], api_key: Union[str, Key, None], profile: Optional[str] = None, *, insecure: bool = False
) -> Settings:
    """The settings in force.

    Raises:
        ConfigurationError: nothing says where the server is, or what says so must not be used.
    """
    api_key = Key(api_key) if isinstance(api_key, str) and api_key else api_key or None
    if not profile:  # one that the program names wins over the environment
        here = os.environ.get("TOCSIN_URL")
        if not (url and here) or _same(url, here):
            api_key = api_key or _from_environment()
        url = url or here
    if not (url and api_key):
        url, api_key = _completed(url, api_key, profile or os.environ.get("TOCSIN_PROFILE"))
    if not url:
        raise ConfigurationError(
            "No server is named: pass url= and api_key=, set TOCSIN_URL and TOCSIN_API_KEY, write a profile to "
            f"{config_file()}, or start one with `make run` in a checkout and call this from there."
        )
    if api_key and not api_key.is_sound():
        raise ConfigurationError("The API key has characters that no key has; is there a line break in it?")
    return Settings(_checked(url, insecure=insecure), api_key)


def _from_environment() -> Optional[Key]:
    value = os.environ.get("TOCSIN_API_KEY")
    return Key(value) if value else None


def _completed(
    url: Optional[str], api_key: Optional[Key], profile: Optional[str]
) -> tuple[Optional[str], Optional[Key]]:
    """What a profile or a running checkout adds to what is given."""
    for found in (_profile, lambda _: {} if profile else running_checkout(Path.cwd())):
        known = {name: Key(value) if name == "api_key" else value for name, value in found(profile).items()}
        place, key = known.get("url"), known.get("api_key")
        if isinstance(place, str) and place and (url is None or _same(url, place)):
            return url or place, api_key or (key if isinstance(key, Key) and key else None)
    return url, api_key


def _same(one: str, other: str) -> bool:
    return one.rstrip("/") == other.rstrip("/")


def _checked(url: str, *, insecure: bool) -> str:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        host.encode("idna")  # as the name is looked up
    except ValueError:
        host, port = "", None
    if not host or port == 0 or parts.scheme not in ("http", "https") or _BLANK.search(url):
        # what stands before an @ may be a password
        raise ConfigurationError(f"{url.rpartition('@')[2]!r} is not an address such as https://tocsin.example.com")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ConfigurationError("The address of a server has no user, no query and no fragment.")
    if parts.scheme == "http" and not insecure and not is_loopback(host):
        raise ConfigurationError(
            f"{url} is not encrypted, and the key would be sent in clear: use https, or pass insecure=True."
        )
    return url.rstrip("/")


def stays_here(url: str) -> bool:
    """Whether what is sent to an address stays on this machine."""
    return is_loopback(urlsplit(url).hostname or "")


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
            return _toml(path, file)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from None


def _toml(path: Path, file: BinaryIO) -> Dict[str, Any]:
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
        return tomllib.load(file)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path} is not TOML: {error}") from None


def _profile(name: Optional[str]) -> Mapping[str, str]:
    wanted, names, found = _looked_up(name)
    if found is None and wanted is not None:
        have = f"it has {', '.join(names)}" if names else "it has none"
        raise ConfigurationError(f"There is no profile {wanted!r} in {config_file()}; {have}.")
    if found is not None and not isinstance(found, dict):
        raise ConfigurationError(
            f"[profiles.{wanted or 'default'}] in {config_file()} is a table with url and api_key."
        )
    return {member: str(value) for member, value in (found or {}).items()}


def _looked_up(name: Optional[str]) -> tuple[Optional[str], List[str], Any]:
    """The profile that is named, if one is; the names of all; and the one that counts."""
    known = profiles()
    named, default = known.get("profiles", {}), known.get("default")
    if isinstance(named, dict) and isinstance(default, (str, type(None))):
        wanted = name or default or None
        return wanted, sorted(named), named.get(wanted or "default")
    del known, named, default  # a traceback with the values of variables has no keys
    raise ConfigurationError(f"In {config_file()} `default` is the name of a profile and `profiles` holds tables.")


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
