"""Tests the rules of a configuration folder, without a server: ``python -m launcher.rules test FILE``.

In order of time: the folder is read and checked as a load checks it; the file of tests is read; each case is decided,
and what differs from what it expects is shown with why. Variables of the environment that providers refer to need not
be set, and the configs of providers are not checked: no rule reads them. The status is 0 where all cases hold, 1 where
some do not, and 2 where the folder or the file has faults.
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from config.settings import environment, settings
from gateway.calendars.calendar import named
from gateway.configuration import folder, sources
from gateway.configuration.generation import Generation
from gateway.configuration.providers import Surroundings
from gateway.simulation import cases
from gateway.simulation.cases import Case, Failure
from playbooks.checks.faults import Faults
from tasks.generations import files
from tasks.policy.meaning import HERE

#: the status of a run whose cases do not all hold, and of one that could not be made
DIFFERS, FAULTY = 1, 2


class _Any(dict[str, str]):
    """An environment in which every variable is set but Tocsin's own, which providers never get."""

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name) or default or self[name]

    def __missing__(self, name: str) -> str:
        return "" if name.startswith("TOCSIN_") else f"value-of-{name}"


class UnusableError(Exception):
    """The folder or the file has faults, which the lines name."""


def loaded(directory: Path) -> Generation:
    """The configuration of a folder.

    Raises:
        UnusableError: it has faults.
    """
    found = files.read(directory)
    made = folder.load(found.texts, Surroundings(_Any(environment())))
    faults = [*found.faults, *made.faults]
    if faults or made.generation is None:
        raise UnusableError(*faults)
    return made.generation


def read(file: Path) -> tuple[list[Case], Mapping[str, int]]:
    """The cases of a file of tests, and the line of each by its pointer.

    Raises:
        UnusableError: it cannot be read, or has faults.
    """
    try:
        source = sources.read(str(file), file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UnusableError(f"{file}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UnusableError(f"{file}: is not text in UTF-8") from error
    except sources.SourceFault as error:
        raise UnusableError(str(error)) from error
    found = Faults()
    made = cases.read(source.value, found)
    if problems := found.listed():
        raise UnusableError(*source.placed(problems))
    return made, {case.pointer: source.document.line(case.pointer) for case in made}


def written(failure: Failure, file: Path, line: int) -> str:
    """What a case that does not hold is shown as."""
    lines = [f"{file}:{line} {failure.case.name}"]
    for name, (expected, found) in failure.differs.items():
        lines += [f"  - {name}: {_word(expected)}", f"  + {name}: {_word(found)}"]
    return "\n".join([*lines, *(f"    {one}" for one in failure.why)])


def _word(value: Any) -> str:
    return "none" if value is None else str(value)


def main(arguments: list[str]) -> int:
    """Test the rules and print what differs."""
    parser = argparse.ArgumentParser(prog="python -m launcher.rules", description="Test the rules of a folder.")
    commands = parser.add_subparsers(dest="command", required=True)
    test = commands.add_parser("test", help="decide the cases of a file; status 1 where one does not hold")
    test.add_argument("file", type=Path, help="YAML with cases: action, at, expect")
    test.add_argument("--folder", type=Path, help="the configuration (default: TOCSIN_CONFIG_DIR)")
    wanted = parser.parse_args(arguments)
    try:
        generation = loaded(wanted.folder or settings().config_dir)
        found, lines = read(wanted.file)
    except UnusableError as error:
        print("\n".join(map(str, error.args)), file=sys.stderr)
        return FAULTY
    ruleset, calendars = generation.ruleset(), named(generation.time_intervals)
    failures = [failure for case in found if (failure := cases.tried(case, ruleset, calendars, HERE)) is not None]
    for failure in failures:
        print(written(failure, wanted.file, lines[failure.case.pointer]))
    print(f"{len(found) - len(failures)} of {len(found)} cases hold.")
    return DIFFERS if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
