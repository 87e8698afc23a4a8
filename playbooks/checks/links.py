"""Whether the links of a playbook lead to the right steps.

They lead to steps of the same block, every step is reachable, and there are no cycles. Each block is checked by itself:
links to nowhere are reported and left out, ``playbooks.plan`` resolves the rest, and one traversal of the result finds
unreachable steps and cycles. It also records which steps may run before which, for the references in templates. The
work is linear in steps and links.
"""

from collections.abc import Collection, Iterator, Mapping
from itertools import chain
from typing import Any

from playbooks import plan
from playbooks.checks.faults import MAX_PROBLEMS, Faults, below, shown
from playbooks.definitions.places import PlacedStep, StepList
from playbooks.definitions.step_types import COMMON, LINK_WORDS, LINKS, OPTIONAL

_SHOWN_STEPS = 6
#: types whose links differ from those of an action
_BRANCHING = ("condition", "switch", "approval")


class LinkGraph:
    """The place of each step, and the steps that may precede it."""

    def __init__(self) -> None:
        self.places: dict[str, PlacedStep] = {}
        self._bits: dict[str, int] = {}
        self._before: dict[str, int] = {}

    def add_order(self, compiled: plan.Plan, order: list[str]) -> None:
        """Record the order of one block; ``order`` is sorted topologically."""
        bits = {step_id: 1 << number for number, step_id in enumerate(order)}
        before = dict.fromkeys(order, 0)
        for step_id in order:
            for target in compiled.nodes[step_id].links():
                before[target] |= before[step_id] | bits[step_id]
        if compiled.exception_step is not None:  # any step may fail, so all others may come before this one
            entry = bits[compiled.exception_step]
            after = [one for one in order if bits[one] == entry or before[one] & entry]
            others = (1 << len(order)) - 1 - sum(bits[one] for one in after)
            before.update((one, before[one] | others) for one in after)
        self._bits |= bits
        self._before |= before

    def reading_fault(self, step_id: Any, reader: PlacedStep, member: str) -> str | None:
        """The reason why a step cannot read another's record, or None.

        ``member`` of ``reader`` reads what the known step ``step_id`` leaves.
        """
        owner = self.places[step_id]
        if owner is reader:
            return "a step cannot read its own record: in 'outputs' its result is called 'output'"
        readers = {place.block: place for place in _outwards(reader)}
        shared, mine = next((place, readers[place.block]) for place in _outwards(owner) if place.block in readers)
        if shared is mine and owner is shared:
            return f"'{step_id}' has not ended while the steps inside it run"
        if shared is mine and reader is mine and member not in ("while", "outputs"):
            return f"'{step_id}' is inside this step and runs later"
        if shared is mine or shared.block.repeats:
            return None
        first, second = self._bits.get(_id_of(shared)), self._before.get(_id_of(mine))
        if first is None or second is None or second & first:
            return None
        return f"'{step_id}' never runs before this step: read a step that leads here"


def _id_of(place: PlacedStep) -> str:
    """The id of a step, "" for a faulty one."""
    given = place.step.get("id")
    return given if isinstance(given, str) else ""


def _outwards(place: PlacedStep) -> Iterator[PlacedStep]:
    """A step and the steps around it, from the inside out."""
    found: PlacedStep | None = place
    while found is not None:
        yield found
        found = found.block.around


def check_links(form: Mapping[str, Any], found: Collection[PlacedStep], faults: Faults) -> LinkGraph:
    """Report every fault of ids and links; return the graph of steps."""
    graph = LinkGraph()
    blocks: dict[StepList, list[PlacedStep]] = {}
    for place in found:
        given = place.step.get("id")
        if not isinstance(given, str):
            continue
        if given in graph.places:
            there = graph.places[given].pointer
            faults.add(below(place.pointer, "id"), f"the id '{shown(given)}' is used twice, first at {there}")
        else:
            graph.places[given] = place
            blocks.setdefault(place.block, []).append(place)
    exception = _exception_step(form, graph, faults)
    for block, members in blocks.items():
        if faults.full:
            break
        _check_block(form, members, exception if block.around is None else None, graph, faults)
    return graph


def _exception_step(form: Mapping[str, Any], graph: LinkGraph, faults: Faults) -> str | None:
    given = form.get("exception_step")
    if given is None:
        return None
    place = graph.places.get(given) if isinstance(given, str) else None
    if place is None:
        hint = faults.hint(given, graph.places)
        faults.add("/exception_step", f"there is no step '{shown(given)}'{hint}")
    elif place.block.around is not None:
        faults.add("/exception_step", f"'{given}' belongs to {place.block.words}: name a step of the top level")
    elif place.pointer == "/steps/0":
        faults.add("/exception_step", "the first step begins the run: name a step that only follows a failure")
    elif given not in LINK_WORDS:
        return str(given)
    return None


def _check_block(
    form: Mapping[str, Any], members: list[PlacedStep], exception: str | None, graph: LinkGraph, faults: Faults
) -> None:
    before = len(faults.problems)
    flat = [_flat(place, graph, faults) for place in members if place.step["id"] not in LINK_WORDS]
    if not flat:
        return
    sound = len(faults.problems) == before
    compiled = plan.compile({"steps": flat, "on_failure": form.get("on_failure"), "exception_step": exception})
    entries = [step["id"] for step in flat]
    order, circles = _walk(compiled, entries)
    for circle in circles:
        pointer = _closing_link(compiled, circle, graph)
        names = [f"'{name}'" for name in circle[:_SHOWN_STEPS]] + ["..."] * (len(circle) > _SHOWN_STEPS)
        round_trip = " → ".join([*names, f"'{circle[0]}'"])
        faults.add(pointer, f"{round_trip} would never end: what is to be repeated needs a step of type loop")
    if not circles:
        graph.add_order(compiled, order)
    if sound and not circles and len(flat) == len(members):
        reached = set(_walk(compiled, [entries[0], *([exception] if exception else [])])[0])
        for step_id in entries:
            if step_id not in reached:
                faults.add(graph.places[step_id].pointer, f"no step leads to '{step_id}': link to it, or remove it")


def _flat(place: PlacedStep, graph: LinkGraph, faults: Faults) -> dict[str, Any]:
    """The members of a step that decide its successors, without faulty links."""
    step = place.step
    kind = step.get("type")
    flat: dict[str, Any] = {"id": step["id"], "name": "", "type": kind if kind in _BRANCHING else "action"}
    flat.update((member, step[member]) for member in ("when", "continue_on_error") if member in step)
    cases: dict[str, str] = {}
    for member, case, target in _links(step):
        fault = _link_fault(target, LINKS[member], place, graph, faults)
        if fault:
            faults.add(_link_pointer(place, member, case), fault)
        elif case is None:
            flat[member] = target
        else:
            cases[case] = target
    return {**flat, "cases": cases} if cases else flat


def _links(step: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """The explicit links: member, for a switch the case, and target."""
    kind = step.get("type")
    own = OPTIONAL.get(kind, ()) if isinstance(kind, str) else ()
    for member in LINKS:
        if member in step and (member in COMMON or member in own):
            yield member, None, step[member]
    if kind == "switch" and isinstance(step.get("cases"), dict):
        for case, target in step["cases"].items():
            yield "default", case, target


def _link_pointer(place: PlacedStep, member: str, case: Any) -> str:
    return below(place.pointer, member) if case is None else below(below(place.pointer, "cases"), case)


def _link_fault(target: Any, words: tuple[str, ...], place: PlacedStep, graph: LinkGraph, faults: Faults) -> str | None:
    if isinstance(target, str) and target in words:
        return None
    allowed = ", ".join(words)
    if not isinstance(target, str) or target in LINK_WORDS:
        return f"must be the id of a step or one of {allowed}"
    there = graph.places.get(target)
    if there is None:
        known = (name for name, other in graph.places.items() if other.block is place.block)
        hint = faults.hint(target, chain(words, known))
        return f"there is no step '{shown(target)}'{hint}"
    if there.block is not place.block:
        where = there.block.words
        return f"'{shown(target)}' belongs to {where}: links stay among the steps of one list; end this one instead"
    return None


def _walk(compiled: plan.Plan, entries: list[str]) -> tuple[list[str], list[list[str]]]:
    """The reachable steps in topological order, and the cycles among them."""
    done: list[str] = []
    circles: list[list[str]] = []
    seen: set[str] = set()
    for entry in entries:
        if entry in seen:
            continue
        seen.add(entry)
        path, on_path = [entry], {entry: 0}
        waiting = [iter(_ahead(compiled, entry))]
        while path:
            target = next(waiting[-1], None)
            if target is None:
                done.append(path[-1])
                del on_path[path.pop()]
                waiting.pop()
            elif target in on_path:
                if len(circles) < MAX_PROBLEMS:
                    circles.append(path[on_path[target] :])
            elif target not in seen:
                seen.add(target)
                on_path[target] = len(path)
                path.append(target)
                waiting.append(iter(_ahead(compiled, target)))
    return done[::-1], circles


def _ahead(compiled: plan.Plan, step_id: str) -> list[str]:
    return sorted(compiled.nodes[step_id].links(), key=lambda target: compiled.nodes[target].index)


def _closing_link(compiled: plan.Plan, circle: list[str], graph: LinkGraph) -> str:
    """The link that closes a cycle.

    It is explicit, because implicit links only lead forward.
    """
    for step_id, target in zip(circle, [*circle[1:], circle[0]], strict=True):
        if compiled.nodes[target].index <= compiled.nodes[step_id].index:
            place = graph.places[step_id]
            for member, case, leads_to in _links(place.step):
                if leads_to == target:
                    return _link_pointer(place, member, case)
    return graph.places[circle[0]].pointer
