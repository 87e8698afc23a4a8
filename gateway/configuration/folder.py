"""From the texts of the configuration folder to one generation, all or nothing.

``rules/*.yaml`` hold ``rules``; ``providers.yaml`` holds ``providers`` and ``circuit_breakers``; ``chains.yaml``
holds ``chains``; ``state_machines.yaml`` holds ``state_machines``; ``time_intervals.yaml`` holds ``time_intervals``.
Every fault is reported with its file, line and pointer, and one fault is enough to load nothing. Reading the files is
the caller's part.
"""

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from config.types import Json
from expressions.suggestions import did_you_mean
from gateway.calendars import written as calendars
from gateway.configuration import chain_checks, chains, circuits, machines, providers
from gateway.configuration.generation import Generation
from gateway.configuration.providers import Surroundings
from gateway.configuration.rule_lists import Lists
from gateway.configuration.sources import Source, SourceFault, read
from gateway.rules import written
from gateway.rules.effects import Names
from playbooks.checks.faults import MAX_PROBLEMS, Faults, shown

MAX_FILES = 500

_RULES = re.compile(r"rules/[^/]+\.ya?ml")
_FILES = {
    "providers.yaml": ("providers", "circuit_breakers"),
    "chains.yaml": ("chains",),
    "state_machines.yaml": ("state_machines",),
    "time_intervals.yaml": ("time_intervals",),
}


@dataclass(frozen=True)
class Loaded:
    """A generation, or the faults because of which there is none."""

    generation: Generation | None
    faults: list[str]


def load(texts: Mapping[str, str], around: Surroundings) -> Loaded:
    """The generation of a folder's files, given by their paths inside it."""
    loading = _Loading(around)
    for file in sorted(texts)[: MAX_FILES + 1]:
        loading.read(file, texts[file])
    if len(texts) > MAX_FILES:
        loading.faults.append(f"the folder has {len(texts)} files; {MAX_FILES} are the most")
    defined = loading.providers()
    loading.circuit_breakers(defined)
    loading.chains(defined)
    loading.machines()
    loading.calendars()
    loading.rules()
    if loading.faults:
        return Loaded(None, loading.listed())
    return Loaded(loading.generation(), [])


def _place(source: Source, pointer: str) -> str:
    return f"{source.file}:{source.document.line(pointer)}"


class _Loading:
    """One loading: the files that could be read, and all faults so far."""

    def __init__(self, around: Surroundings) -> None:
        self.around = around
        self.sources: dict[str, Source] = {}
        self.faults: list[str] = []
        self.names = Names()
        #: files that cannot be read: what they define is not known
        self.unread: set[str] = set()

    def read(self, file: str, text: str) -> None:
        name = file.removesuffix(".yml") + ".yaml" if file.endswith(".yml") else file
        if name not in _FILES and not _RULES.fullmatch(file):
            known = (*_FILES, "rules/NAME.yaml")
            self.faults.append(
                f"{file}:1 /: is no file of a configuration: {', '.join(known)}{did_you_mean(file, known)}"
            )
            return
        if name in self.sources or name in self.unread:
            self.faults.append(f"{file}:1 /: there is {name} too: keep one of them")
            return
        try:
            source = read(file, text)
        except SourceFault as error:
            self.faults.append(str(error))
            self.unread.add(name)
            return
        self.sources[name] = source
        self._check_members(source, _FILES.get(name, ("rules",)))

    def _check_members(self, source: Source, members: tuple[str, ...]) -> None:
        found = Faults()
        if source.value is not None and not isinstance(source.value, dict):
            found.add("", f"a file is an object with {' and '.join(members)}")
        for member in source.value if isinstance(source.value, dict) else ():
            if member not in members:
                hint = found.hint(member, members)
                found.add(f"/{shown(member)}", f"'{shown(member)}' does not belong here: {', '.join(members)}{hint}")
        self._report(source, found)

    def _report(self, source: Source, found: Faults) -> None:
        self.faults += source.placed(found.listed())

    def _part(self, file: str, member: str) -> tuple[Source | None, Any]:
        """A member of a file, and the file; None where it is missing."""
        source = self.sources.get(file)
        value = source.value.get(member) if source and isinstance(source.value, dict) else None
        return source, value

    def providers(self) -> dict[str, Json]:
        """Check the providers; the definitions of those that can be defined."""
        source, given = self._part("providers.yaml", "providers")
        if source is None or given is None:
            return {}
        found = Faults()
        defined = providers.check(given, "/providers", self.around, found)
        self._report(source, found)
        return defined

    def circuit_breakers(self, defined: Mapping[str, Json]) -> None:
        """Check the circuit breakers."""
        source, given = self._part("providers.yaml", "circuit_breakers")
        if source is not None and given is not None:
            found = Faults()
            circuits.check(given, "/circuit_breakers", defined, found)
            self._report(source, found)

    def chains(self, defined: Mapping[str, Json]) -> None:
        """Check the chains, and note the names that rules may refer to."""
        source, given = self._part("chains.yaml", "chains")
        lost_providers = "providers.yaml" in self.unread
        self.names = Names(
            None if lost_providers else frozenset(defined),
            self._names("chains.yaml", given),
            self._names("state_machines.yaml", self._part("state_machines.yaml", "state_machines")[1]),
            self._calendar_names(),
        )
        if source is not None and given is not None and not lost_providers:
            found = Faults()
            chain_checks.check(given, "/chains", defined, found)
            self._report(source, found)

    def _names(self, file: str, given: Any) -> frozenset[str] | None:
        """The names in a list of a file; None where the file cannot be read."""
        if file in self.unread:
            return None
        named = given if isinstance(given, list) else ()
        return frozenset(one["name"] for one in named if isinstance(one, dict) and isinstance(one.get("name"), str))

    def _calendar_names(self) -> frozenset[str] | None:
        """The calendars of the file, and those that requests have made."""
        named = self._names("time_intervals.yaml", self._part("time_intervals.yaml", "time_intervals")[1])
        return None if named is None else named | self.around.calendars

    def calendars(self) -> None:
        """Check the calendars."""
        source, given = self._part("time_intervals.yaml", "time_intervals")
        if source is None or given is None:
            return
        found = Faults()
        calendars.check_all(given, "/time_intervals", found)
        for number, one in enumerate(given if isinstance(given, list) else ()):
            if isinstance(one, dict) and one.get("name") in self.around.calendars:
                text = "a request has made a calendar of this name: delete that one, or name this one otherwise"
                found.add(f"/time_intervals/{number}/name", text)
        self._report(source, found)

    def machines(self) -> None:
        """Check the state machines."""
        source, given = self._part("state_machines.yaml", "state_machines")
        if source is not None and given is not None:
            found = Faults()
            machines.check(given, "/state_machines", self.names.providers, found)
            self._report(source, found)

    def rules(self) -> None:
        """Check all rules."""
        lists = Lists(self.names)
        for name, source in self.sources.items():
            given = source.value.get("rules") if isinstance(source.value, dict) else None
            if name in _FILES or given is None:
                continue
            found = Faults()
            goes_on = lists.check(given, "/rules", functools.partial(_place, source), found)
            self._report(source, found)
            if not goes_on:
                return

    def generation(self) -> Generation:
        """The generation; there are no faults."""
        rules = [
            written.normalise(rule, source.file, position)
            for name, source in self.sources.items()
            if name not in _FILES and source.value
            for position, rule in enumerate(source.value.get("rules") or ())
        ]
        entries = self._part("providers.yaml", "providers")[1] or {}
        breakers = self._part("providers.yaml", "circuit_breakers")[1] or {}
        written_chains = self._part("chains.yaml", "chains")[1] or []
        return Generation(
            rules,
            {name: providers.stored(name, entry) for name, entry in entries.items()},
            {name: circuits.stored(name, entry) for name, entry in breakers.items()},
            {
                chain["name"]: {
                    "definition": chains.compiled(chain).definition,
                    "total_steps": len(chain["steps"]),
                    "first_step": chain["steps"][0]["name"],
                }
                for chain in written_chains
            },
            {one["name"]: machines.stored(one) for one in self._part("state_machines.yaml", "state_machines")[1] or []},
            {
                one["name"]: calendars.stored(one)
                for one in self._part("time_intervals.yaml", "time_intervals")[1] or []
            },
        )

    def listed(self) -> list[str]:
        """The faults, bounded in number."""
        unique = list(dict.fromkeys(self.faults))
        if len(unique) <= MAX_PROBLEMS:
            return unique
        return [*unique[:MAX_PROBLEMS], f"and more: only the first {MAX_PROBLEMS} faults are named"]
