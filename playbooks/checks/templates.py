"""Whether templates and conditions are valid and name what can exist."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from expressions import references, templates
from expressions.conditions import comparisons, evaluation
from expressions.limits import MAX_DEPTH
from expressions.template_syntax import has_markup
from playbooks.checks.faults import Faults, below, shown
from playbooks.checks.links import LinkGraph
from playbooks.definitions.places import PlacedStep
from playbooks.definitions.step_types import CONDITIONS, MAX_TEMPLATES, ROOTS, TEMPLATES

#: the parts of a step's record, and those of the previous step's
_RECORD = ("output", "status", "error", "vars")
_PREVIOUS = ("id", "name", "status", "output", "error")


def check_templates(form: Mapping[str, Any], found: Collection[PlacedStep], graph: LinkGraph, faults: Faults) -> None:
    """Report every fault of templates and conditions, and impossible references."""
    reader = _Reader(form, found, graph, faults)
    for place in found:
        for member in (*TEMPLATES, *CONDITIONS):
            if member in place.step:
                reader.read(place, member)
        if faults.full or reader.left < 0:
            break
    if reader.left < 0:
        faults.add("", f"a playbook may have at most {MAX_TEMPLATES} templates and conditions")


class _Reader:
    """One check of all templates, with the names they may use."""

    def __init__(
        self, form: Mapping[str, Any], found: Collection[PlacedStep], graph: LinkGraph, faults: Faults
    ) -> None:
        self.graph = graph
        self.faults = faults
        self.left = MAX_TEMPLATES
        declared = form["parameters"] if isinstance(form["parameters"], list) else []
        #: empty: a playbook that declares no parameters accepts any
        self.parameters = {str(one["name"]) for one in declared if isinstance(one, dict) and "name" in one}
        self.kinds = {
            str(one["name"]): kind
            for one in declared
            if isinstance(one, dict) and "name" in one and (kind := comparisons.kind_of(one))
        }
        outputs = (place.step.get("outputs") for place in found)
        self.variables = {str(name) for given in outputs if isinstance(given, dict) for name in given}

    def read(self, place: PlacedStep, member: str) -> None:
        """Check one member of a step."""
        known = self.known(place, member)
        value, pointer = place.step[member], below(place.pointer, member)
        if member in CONDITIONS:
            if isinstance(value, str) and value.strip():
                self.left -= 1
                found = evaluation.check(value, known, self.kinds_at(place, member))
                for detail in found:
                    self.faults.add(pointer, detail)
                self.follow(place, member, pointer, set() if found else references.condition_paths(value))
            return
        for where, text in _texts(value, pointer, self.faults):
            self.left -= 1
            if self.faults.full or self.left < 0:
                return
            problems = templates.check(text, known)
            self.faults.extend(where, problems)
            self.follow(place, member, where, set() if problems else references.paths(text))

    def known(self, place: PlacedStep, member: str) -> set[str] | None:
        """The names that a member may start from, or None for any."""
        if not self.parameters:
            return None
        own = {"outputs": {"output"}, "while": {"index"}}.get(member, set())
        return set(ROOTS) | self.parameters | place.block.names | own

    def kinds_at(self, place: PlacedStep, member: str) -> dict[str, str]:
        """The kinds of parameters, without those that a loop's variable hides.

        A switch compares its expression with texts; it may give any value.
        """
        if place.step.get("type") == "switch" and member == "expression":
            return {}
        return {name: kind for name, kind in self.kinds.items() if name not in place.block.names}

    def follow(self, place: PlacedStep, member: str, pointer: str, paths: set[tuple[Any, ...]]) -> None:
        """Report the paths that lead to nothing."""
        for path in sorted(paths, key=str):
            fault = self.path_fault(place, member, path)
            if fault:
                self.faults.add(pointer, fault)

    def path_fault(self, place: PlacedStep, member: str, path: tuple[Any, ...]) -> str | None:
        root, name = path[0], path[1] if len(path) > 1 else None
        if root == "steps":
            return self.step_fault(place, member, path)
        if name is None or (root == "parameters" and not self.parameters):
            return None
        known = {"vars": self.variables, "parameters": self.parameters, "previous_step": _PREVIOUS}.get(root)
        if known is None or name in known:
            return None
        remedy = "; declare it in the outputs of a step" if root == "vars" else ""
        return f"'{root}.{shown(name)}' does not exist" + (self.faults.hint(name, sorted(known)) or remedy)

    def step_fault(self, place: PlacedStep, member: str, path: tuple[Any, ...]) -> str | None:
        if len(path) == 1:
            return "name the step that is meant, such as steps.lookup.output: which one cannot be found out by a value"
        name = path[1]
        if not isinstance(name, str) or name not in self.graph.places:
            return f"there is no step '{shown(name)}'" + self.faults.hint(name, self.graph.places)
        if len(path) > 2 and path[2] not in _RECORD:  # noqa: PLR2004 - steps, its id, the part of its record
            words = ", ".join(_RECORD)
            hint = self.faults.hint(path[2], _RECORD)
            return f"a step leaves {words}; 'steps.{name}.{shown(path[2])}' does not exist{hint}"
        return self.graph.reading_fault(name, place, member)


def _texts(value: Any, pointer: str, faults: Faults) -> Iterator[tuple[str, str]]:
    """Every template in a value, keys too, with its pointer."""
    waiting = [(pointer, value, 0)]
    while waiting:
        where, one, depth = waiting.pop()
        if isinstance(one, str):
            if has_markup(one):
                yield where, one
        elif isinstance(one, dict | list) and depth >= MAX_DEPTH:
            faults.add(where, f"containers are nested more than {MAX_DEPTH} deep")
        elif isinstance(one, list):
            waiting.extend((f"{where}/{index}", item, depth + 1) for index, item in enumerate(one))
        elif isinstance(one, dict):
            waiting.extend((below(where, key), item, depth + 1) for key, item in one.items())
            waiting.extend((below(where, key), key, depth + 1) for key in one if isinstance(key, str))
