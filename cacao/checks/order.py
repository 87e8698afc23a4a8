"""The order of the steps in a CACAO workflow, by the standard.

First the check looks at the successors of each step, then at the whole graph: unreachable steps, cycles, end steps that
several branches share, and steps that several branches of one parallel step reach. Each search visits a step a bounded
number of times and keeps its own stack, so neither the number of paths nor their length matters. All findings are
warnings.
"""

from cacao.model.findings import Findings, below, shown
from cacao.model.graph import Graph, Link
from cacao.model.vocabulary import STEP_TYPES

#: code of a finding → the types of which a workflow needs a step
_WANTED = {"no_start": ("start",), "no_work": ("action", "playbook-action"), "no_end": ("end",)}

#: visits that the check of nested parallel steps may cost, for each step and link
_VISITS = 8
#: workflows of at most this size are checked however they are nested
_SMALL = 1000


def check_order(graph: Graph, found: Findings) -> None:
    """Report faults in the order of the steps."""
    _check_kinds(graph, found)
    for name in graph.steps:
        _check_successors(graph, name, found)
    if "workflow_start" in graph.entries:
        _check_reached(graph, found)
    _check_cycles(graph, found)
    _check_ends(graph, found)
    _check_joins(graph, found)


def _check_kinds(graph: Graph, found: Findings) -> None:
    kinds = [graph.type_of(name) for name in graph.steps]
    for code, wanted in _WANTED.items():
        if not any(kind in wanted for kind in kinds):
            message = f"a workflow needs a step of type {' or '.join(wanted)}: add one"
            found.add(code, "/workflow", message)
    for name, kind in zip(graph.steps, kinds, strict=True):
        if kind and not {kind, name.partition("--")[0]} & set(STEP_TYPES):  # else the shapes have found it
            message = f"there is no type of step {shown(kind)}: it is one of {', '.join(STEP_TYPES)}"
            found.add("unknown_step_type", below(graph.pointer(name), "type"), message)
    if kinds.count("start") > 1:
        found.add("several_starts", "/workflow", "a workflow has exactly one step of type start: remove the others")


def _check_successors(graph: Graph, name: str, found: Findings) -> None:
    step, pointer = graph.steps[name], graph.pointer(name)
    kind = graph.type_of(name)
    if "on_completion" in step and ("on_success" in step or "on_failure" in step):
        message = "'on_completion' stands next to 'on_success' or 'on_failure': keep the one or the others"
        found.add("on_completion_not_alone", pointer, message)
    if kind not in ("end", "") and "on_completion" not in step and "on_success" not in step:
        message = "nothing follows this step: add 'on_completion' or 'on_success', at least with an end step"
        found.add("no_successor", pointer, message)
    if kind == "switch-condition" and step.get("cases") == {}:
        found.add("no_cases", pointer, "this switch has no cases: add at least one, 'default' if nothing else")


def _check_reached(graph: Graph, found: Findings) -> None:
    reached = set(graph.entries.values())
    pending = list(reached)
    while pending:
        new = [target for target in graph.following[pending.pop()] if target not in reached]
        reached.update(new)
        pending.extend(new)
    for name in graph.steps:
        if name not in reached:
            found.add("unreachable_step", graph.pointer(name), "no step leads here: remove it or lead to it")


def _check_cycles(graph: Graph, found: Findings) -> None:
    back = _leading_back(graph.onward)
    for link in back:
        message = "this leads back to a step that came before: use a step of type while-condition to repeat steps"
        found.add("cycle", link.pointer, message)
    everything = {
        name: [link for link in (*links, *graph.opening[name]) if link not in back]
        for name, links in graph.onward.items()
    }
    for link in _leading_back(everything):
        message = "this leads back into a step whose branch it is in: lead to an end step, which returns there"
        found.add("branch_without_end", link.pointer, message)


def _leading_back(links: dict[str, list[Link]]) -> dict[Link, None]:
    """The links that close a cycle; without them there is none."""
    back: dict[Link, None] = {}
    finished: set[str] = set()
    under_way: set[str] = set()
    for first, following in links.items():
        stack = [] if first in finished else [(first, iter(following))]
        under_way.update(name for name, _ in stack)
        while stack:
            name, remaining = stack[-1]
            link = next(remaining, None)
            if link is None:
                stack.pop()
                under_way.remove(name)
                finished.add(name)
            elif link.target in under_way:
                back[link] = None
            elif link.target not in finished:
                under_way.add(link.target)
                stack.append((link.target, iter(links[link.target])))
    return back


def _check_ends(graph: Graph, found: Findings) -> None:
    """Report end steps that two branches reach.

    A branch is identified by the step that opens it and its first step.
    """
    pending = [(link.target, (name, link.target)) for name, links in graph.opening.items() for link in links]
    if start := graph.entries.get("workflow_start"):
        pending.append((start, ("", start)))
    branches: dict[str, set[tuple[str, str]]] = {}
    while pending:
        name, branch = pending.pop()
        here = branches.setdefault(name, set())
        # two branches are enough for a finding: each step is visited at most twice
        if branch in here or len(here) > 1:
            continue
        here.add(branch)
        pending.extend((link.target, branch) for link in graph.onward[name])
    for name in graph.steps:
        if graph.type_of(name) == "end" and len(branches.get(name, ())) > 1:
            message = "several branches share this end: give each branch an end step of its own"
            found.add("shared_end", graph.pointer(name), message)


def _check_joins(graph: Graph, found: Findings) -> None:
    allowed = _VISITS * (len(graph.steps) + sum(map(len, graph.links.values())) + _SMALL)
    for name in graph.steps:
        if graph.type_of(name) == "parallel":
            allowed -= _check_join(graph, name, found)
            if allowed < 0:
                message = "parallel steps are nested too deeply to look for steps that branches share: flatten them"
                found.add("nested_too_deeply", graph.pointer(name), message)
                return


def _check_join(graph: Graph, parallel: str, found: Findings) -> int:
    """Report steps that several branches of a parallel step reach; count visits.

    Only the step where the branches meet is reported.
    """
    visits = 0
    # step → the branch that reached it first; the parallel step itself belongs to all
    reached: dict[str, int] = {}
    for branch, opening in enumerate(graph.opening[parallel]):
        pending = [opening.target]
        while pending:
            name = pending.pop()
            visits += 1
            if reached.get(name) == branch:
                continue
            if reached.setdefault(name, branch) == branch:
                pending.extend(target for target in graph.following[name] if target != parallel)
            elif graph.type_of(name) != "end":
                message = (
                    "several branches of one parallel step lead here: "
                    "let each branch end before, and lead here from the parallel step's 'on_completion'"
                )
                found.add("parallel_join", graph.pointer(name), message)
    return visits
