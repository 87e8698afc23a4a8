"""The files of the configuration folder, and their check.

Read are the YAML files at the top and everything in ``rules``. Other folders (``actions``), other files at the top and
hidden ones are left alone.
"""

import hashlib
import hmac
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from config import settings
from config.errors import Problem
from gateway.configuration import folder
from gateway.configuration.folder import MAX_FILES, Loaded
from gateway.configuration.providers import Surroundings
from gateway.configuration.sources import MAX_FILE_CHARACTERS
from providers import registry
from store.sealing import subkeys
from tasks.offload import pool

_YAML = (".yaml", ".yml")
#: characters that are read and checked in a millisecond, at least
_PER_MILLISECOND = 1000
#: characters of all files together: more is not read, and could not be a configuration
MOST_CHARACTERS = 10 * MAX_FILE_CHARACTERS


@dataclass(frozen=True)
class Texts:
    """The texts by path, and why some could not be read."""

    texts: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def digest(self) -> str:
        """What tells these files from others; without the key it reveals nothing of them."""
        return _digest(subkeys.newest(), self.texts)

    def has_digest(self, known: str | None) -> bool:
        """Whether a digest was made of these files."""
        made = subkeys.split(known or "")
        return made is not None and known is not None and hmac.compare_digest(known, _digest(made[0], self.texts))


def _digest(root: str, texts: Mapping[str, str]) -> str:
    said = json.dumps(sorted(texts.items())).encode()
    return subkeys.prefix(root) + hmac.digest(subkeys.subkey(root, "configuration folder"), said, hashlib.sha256).hex()


def read(directory: Path) -> Texts:
    """The files of the folder."""
    found, total = Texts(), 0
    try:
        paths = list(_files(directory))
    except OSError as error:
        return Texts(faults=[f"{directory}: the folder cannot be read: {error.strerror}"])
    for path in paths[: MAX_FILES + 1]:
        name = path.relative_to(directory).as_posix()
        try:
            with path.open(encoding="utf-8", newline="") as file:
                text = file.read(MAX_FILE_CHARACTERS + 1)
        except OSError as error:
            found.faults.append(f"{name}:1 /: cannot be read: {error.strerror}")
            continue
        except UnicodeDecodeError:
            found.faults.append(f"{name}:1 /: is not text in UTF-8")
            continue
        total += len(text)
        if total > MOST_CHARACTERS:
            found.faults.append(f"{name}:1 /: the files have more than {MOST_CHARACTERS} characters together")
            break
        found.texts[name] = text
    return found


def _files(directory: Path) -> Iterator[Path]:
    """The files that are read, in order."""
    for path in sorted(directory.iterdir()):
        if path.suffix in _YAML and not path.name.startswith(".") and path.is_file():
            yield path
    rules = directory / "rules"
    if rules.is_dir():
        for path in sorted(rules.rglob("*")):
            hidden = any(part.startswith(".") for part in path.relative_to(rules).parts)
            if path.suffix in _YAML and not hidden and path.is_file():
                yield path


def checked(texts: Mapping[str, str], calendars: Collection[str] = ()) -> Loaded:
    """The generation that these files say, or all their faults; ``calendars`` are those that requests have made.

    Raises:
        Busy: a helper process would be needed, and all are in use.
    """
    milliseconds = sum(map(len, texts.values())) / _PER_MILLISECOND
    loaded: Loaded = pool.way(milliseconds)(_checked, dict(texts), sorted(calendars))
    return loaded


def _checked(texts: dict[str, str], calendars: list[str]) -> Loaded:
    return folder.load(texts, Surroundings(settings.environment(), _check_config, frozenset(calendars)))


def _check_config(executor: str, config: Mapping[str, Any], names: set[str]) -> list[Problem]:
    """What the executor says of a provider's config."""
    return list(registry.executor(executor).check(config, names))
