"""Prepares the environment of every process that is started.

The operator's values win, friendly defaults fill the rest. In order of time: ``.env`` is read; ``var/`` is made, closed
to others; defaults for development are set where a value is missing; ports are checked before anything listens on them.
Child processes inherit the result.
"""

import os
import secrets
import shutil
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from environs import Env

from config.settings import Settings, settings
from launcher.terminal import LauncherError

ROOT = Path(__file__).resolve().parent.parent
#: in the environment of everything that a launcher starts, descendants included: which var folder it works for
MARK = "TOCSIN_LAUNCHED_FROM"
#: how many ports above the wanted one are tried for Flower
_PORTS_TRIED = 50

_DEFAULTS = {
    "TOCSIN_ENV": "development",
    "TOCSIN_HOST": "127.0.0.1",
    "TOCSIN_PORT": "8080",
    "TOCSIN_FLOWER_PORT": "5555",
    "TOCSIN_EGRESS_ALLOW": "127.0.0.0/8,::1/128",
    "TOCSIN_DRAIN_SECONDS": "3",  # less than the services have to end after Ctrl-C
    "PYTHONUNBUFFERED": "1",
}
#: the functions of the examples; the operator's own folders come before it
_EXAMPLES = "examples/actions"
#: the gateway's examples, which are copied where there is no configuration yet
_CONFIGURATION = "examples/gateway"
_environ = os.environ  # noqa: TID251 - preparing it for everybody else is what this module is for


@dataclass(frozen=True, kw_only=True)
class Installation:
    """An installation: its settings, its folders, its addresses."""

    settings: Settings
    flower_auth_given: bool

    @property
    def var(self) -> Path:
        """The folder of all stored data."""
        return self.settings.var_dir

    @property
    def url(self) -> str:
        """The address of the API for a person on this machine."""
        return f"http://{_reachable(self.settings.host)}:{self.settings.port}"

    @property
    def flower_url(self) -> str:
        """The address of Flower for a person on this machine."""
        return f"http://{_reachable(self.settings.host)}:{_environ['TOCSIN_FLOWER_PORT']}"

    @property
    def embedded_redis(self) -> bool:
        """Whether the launcher has to start a Redis of its own."""
        return not _environ.get("TOCSIN_REDIS_URL")

    def shown(self, path: Path) -> str:
        """A path as a person in the checkout would write it."""
        return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def load() -> Installation:
    """Prepare the environment of this process and its children.

    Raises:
        LauncherError: ``var/`` cannot be used. SettingsError: a setting is wrong.
    """
    os.chdir(ROOT)
    os.umask(0o077)  # other accounts must not read logs, keys and the database
    Env().read_env(str(ROOT / ".env"), recurse=False)
    var = Path(_environ.get("TOCSIN_VAR_DIR") or "var").absolute()
    _make_private(var)
    if _environ.get("PORT"):
        _environ["TOCSIN_PORT"] = _environ["PORT"]
    for name, value in _DEFAULTS.items():
        _environ.setdefault(name, value)
    _add_examples(var)
    _add_configuration(var)
    _environ["PORT"] = _environ["TOCSIN_PORT"]
    _environ["PATH"] = f"{Path(sys.executable).parent}:{_environ.get('PATH', os.defpath)}"
    _environ[MARK] = str(var)
    given = bool(_environ.get("TOCSIN_FLOWER_AUTH"))
    if not given:
        _environ["TOCSIN_FLOWER_AUTH"] = _flower_auth(var / "flower.auth")
    return Installation(settings=settings(), flower_auth_given=given)


def _add_examples(var: Path) -> None:
    """Let the functions of the examples be found, after those of the operator.

    Production has no examples unless its operator names their folder.
    """
    if _environ["TOCSIN_ENV"] == "development":
        config = _environ.get("TOCSIN_CONFIG_DIR") or var / "config"
        own = _environ.get("TOCSIN_ACTIONS_DIR") or f"{config}/actions"
        _environ["TOCSIN_ACTIONS_DIR"] = f"{own}{os.pathsep}{_EXAMPLES}"


def _add_configuration(var: Path) -> None:
    """Copy the gateway's examples into the data folder, for the operator to change.

    Not in production, not where the operator names a folder, and only while there is no file of a configuration.
    """
    if _environ["TOCSIN_ENV"] != "development" or _environ.get("TOCSIN_CONFIG_DIR"):
        return
    config = var / "config"
    if not any((config / name).exists() for name in ("rules", "providers.yaml", "chains.yaml", "state_machines.yaml")):
        shutil.copytree(ROOT / _CONFIGURATION, config, dirs_exist_ok=True)


def use_redis(url: str) -> None:
    """Set the address of Redis for everything started later."""
    _environ["TOCSIN_REDIS_URL"] = url


def claim_ports() -> str | None:
    """Check that the ports are free.

    Returns the message for the operator when Flower moves to another port.

    Raises:
        LauncherError: another program listens on the port of the API.
    """
    host, port = _environ["TOCSIN_HOST"], int(_environ["TOCSIN_PORT"])
    if not is_free(host, port):
        advice = f"choose another one with PORT=, for example: make run PORT={port + 1}"
        raise LauncherError(f"Port {port} of {host} is in use by another program; {advice}")
    wished = int(_environ["TOCSIN_FLOWER_PORT"])
    candidates = (one for one in range(wished, wished + _PORTS_TRIED) if one != port)
    free = next((one for one in candidates if is_free(host, one)), None)
    if free is None:
        raise LauncherError(f"No free port for Flower from {wished} on; set TOCSIN_FLOWER_PORT")
    _environ["TOCSIN_FLOWER_PORT"] = str(free)
    return None if free == wished else f"Port {wished} is in use by another program: Flower takes {free}"


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except PermissionError as error:
            raise LauncherError(f"Port {port} may not be used by this account; choose one above 1023") from error
        except (OSError, OverflowError):
            return False
    return True


def write_private(path: Path, text: str) -> None:
    """Write a file at once that only this account can read."""
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    fresh.touch(mode=0o600)
    fresh.write_text(text)
    fresh.replace(path)


def _reachable(host: str) -> str:
    """The address to call for a server that listens on ``host``."""
    if host in ("0.0.0.0", "::", ""):  # noqa: S104 - nothing is bound here
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _make_private(var: Path) -> None:
    """Make the folder, closed to others if it is the checkout's.

    A folder from elsewhere is left as it is.
    """
    try:
        var.mkdir(mode=0o700, parents=True, exist_ok=True)
        if var.is_relative_to(ROOT) and var != ROOT:
            var.chmod(0o700)
        (var / "log").mkdir(exist_ok=True)
    except OSError as error:
        raise LauncherError(f"The folder {var} cannot be used: {error.strerror}") from error


def _flower_auth(path: Path) -> str:
    """Flower's user and password, generated at the first start."""
    if not path.exists():
        write_private(path, f"demo:{secrets.token_urlsafe(12)}\n")
    return path.read_text().strip()
