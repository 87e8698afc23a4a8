"""What ``/health`` says of the installation itself, to admins: its secret key, its functions, its configuration.

All are looked at when ``/health`` is read, and remembered, so that asking often costs nothing.
"""

import time
from dataclasses import dataclass, field
from typing import Any

from marshmallow import fields

from api.http.base_schema import Answer
from config import logs
from config.settings import settings
from providers.handlers import library
from providers.handlers.loading import FileFault
from store import foreign_keys
from store.engine import db
from store.foreign_keys import ForeignValues
from store.gateway import configurations
from store.sealing import subkeys
from tasks.generations import changes

#: how long a look at what is stored is valid, seconds: while all opens, and while something does not
LASTS, LASTS_OPEN_TO_MENDING = 60.0, 10.0

EXAMPLE: dict[str, Any] = {
    "secret_key": {"status": "ok", "key": "5d0c7a19", "missing_keys": [], "unreadable": {}},
    "function_files": {"folders": ["/etc/tocsin/actions"], "faults": []},
    "configuration": {"folder": "/etc/tocsin", "generation": 4, "applied": "9 of 9", "stopped": [], "faults": []},
}

log = logs.logger(__name__)


class SecretKeyHealth(Answer):
    """Whether the secret key is that of what is stored."""

    status = fields.String(metadata={"description": "ok, or unreadable: TOCSIN_SECRET_KEY is not the one."})
    key = fields.String(metadata={"description": "The id of the key that seals what is new; it reveals nothing."})
    missing_keys = fields.List(
        fields.String(), metadata={"description": "The ids of the keys that made what cannot be opened."}
    )
    unreadable = fields.Dict(
        values=fields.Integer(),
        metadata={"description": f"By table: values that cannot be opened, of up to {foreign_keys.MOST} looked at."},
    )


class FileFaultHealth(Answer):
    """A file of Python functions that is left out, in part or as a whole."""

    file = fields.String(metadata={"description": "Its path."})
    line = fields.Integer(allow_none=True, metadata={"description": "Where it fails, if that is known."})
    message = fields.String(metadata={"description": "Why."})


class FunctionFilesHealth(Answer):
    """The folders of Python functions."""

    folders = fields.List(fields.String(), metadata={"description": "TOCSIN_ACTIONS_DIR."})
    faults = fields.List(fields.Nested(FileFaultHealth), metadata={"description": "What cannot be loaded."})


class ConfigurationHealth(Answer):
    """The gateway's configuration."""

    folder = fields.String(metadata={"description": "TOCSIN_CONFIG_DIR."})
    generation = fields.Integer(metadata={"description": "The generation in force; 0: none was loaded yet."})
    applied = fields.String(metadata={"description": "How many of the processes that decide have it."})
    stopped = fields.List(fields.String(), metadata={"description": "The tenants that a stop holds back; * means all."})
    faults = fields.List(
        fields.String(), metadata={"description": "Why the folder could not be loaded when that was last tried."}
    )


@dataclass(frozen=True)
class Configuration:
    """The gateway's configuration at one look."""

    generation: int = 0
    applied: str = ""
    stopped: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()

    def members(self) -> dict[str, Any]:
        """What an admin is shown of it."""
        return {
            "folder": str(settings().config_dir),
            "generation": self.generation,
            "applied": self.applied,
            "stopped": list(self.stopped),
            "faults": list(self.faults),
        }


@dataclass(frozen=True)
class Installation:
    """The secret key, the functions and the configuration at one look."""

    foreign: ForeignValues = field(default_factory=ForeignValues)
    faults: tuple[FileFault, ...] = ()
    configuration: Configuration = field(default_factory=Configuration)

    @property
    def sound(self) -> bool:
        """Whether nothing of it needs attention."""
        return not (self.foreign.missing or self.faults or self.configuration.faults)

    def members(self) -> dict[str, Any]:
        """What an admin is shown of it."""
        return {
            "secret_key": {
                "status": "unreadable" if self.foreign.missing else "ok",
                "key": subkeys.key_id(subkeys.newest()),
                "missing_keys": sorted(self.foreign.missing),
                "unreadable": dict(self.foreign.numbers),
            },
            "function_files": {
                "folders": [str(folder) for folder in library.library().folders],
                "faults": [
                    {"file": str(fault.path), "line": fault.line, "message": fault.message} for fault in self.faults
                ],
            },
            "configuration": self.configuration.members(),
        }


class Inspector:
    """Looks at the installation; what is stored at most once in ``LASTS`` seconds."""

    def __init__(self) -> None:
        self._foreign = ForeignValues()
        self._good_until = float("-inf")

    def look(self, connection: db.Connection) -> Installation:
        """The installation now."""
        if time.monotonic() > self._good_until:
            before, self._foreign = self._foreign, foreign_keys.look(connection)
            if self._foreign.missing and self._foreign != before:
                log.error(
                    "stored secrets cannot be opened: TOCSIN_SECRET_KEY is not their key",
                    missing_keys=sorted(self._foreign.missing),
                    unreadable=dict(self._foreign.numbers),
                )
            lasts = LASTS_OPEN_TO_MENDING if self._foreign.missing else LASTS
            self._good_until = time.monotonic() + lasts
        return Installation(self._foreign, tuple(library.faults()), _configuration(connection))


def _configuration(connection: db.Connection) -> Configuration:
    standing = configurations.standing(connection)
    stopped = tuple(row.tenant for row in configurations.stopped(connection))
    return Configuration(standing.generation, changes.applied(standing.edition), stopped, tuple(standing.faults))
