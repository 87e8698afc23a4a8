"""Every fault of the chains in ``chains.yaml``.

First come the members of each chain, then the circles among chains that run each other, and last the checks of the
playbook that each chain becomes: links, templates and calls.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from config.errors import Problem
from config.types import Json
from expressions.suggestions import did_you_mean
from gateway.configuration.chains import GENERATED, CompiledChain, compiled
from gateway.facts import CHAIN_PREFIX, PROVIDER_PREFIX
from playbooks.checks.faults import Faults, below, shown
from playbooks.checks.playbook import check as check_playbook
from playbooks.definitions.fields import (
    MAX_ATTEMPTS,
    MAX_BACKOFF_SECONDS,
    MAX_DESCRIPTION_CHARACTERS,
    MAX_NAME_CHARACTERS,
    is_line,
    is_text,
    is_whole,
)
from playbooks.definitions.parameter_values import is_number
from playbooks.definitions.step_types import MAX_TIMEOUT_MINUTES, MAX_WAIT_SECONDS

MAX_CHAINS = 1000
MAX_STEPS = 200
MAX_BRANCHES = 50
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_STEP = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}")
_CHAIN = ("name", "description", "steps", "on_failure", "timeout_seconds")
_STEP_COMMON = ("name", "on_failure", "delay_seconds", "branches", "default_next")
_CALL = ("provider", "action_type", "payload_template", "retry")
_SUB_CHAIN = ("sub_chain", "payload_template")
_PARALLEL = ("parallel",)
_GROUP = ("steps", "join", "on_failure", "timeout_seconds", "max_concurrency")
_RETRY = ("max_retries", "backoff_ms", "strategy", "jitter_ms")
_BRANCH = ("field", "operator", "value", "target")
_OPERATORS = ("eq", "neq", "contains", "exists", "gt", "lt", "gte", "lte")
_ON_FAILURE = ("abort", "skip", "dlq")
_KINDS = ("provider", "sub_chain", "parallel")
#: other words for kinds of steps, and for what follows a failure
_OTHER_KINDS = {
    **dict.fromkeys(("action", "action_ref", "executor", "channel"), "provider"),
    **dict.fromkeys(("chain", "chain_name", "playbook"), "sub_chain"),
    **dict.fromkeys(("group", "branches", "steps"), "parallel"),
}
_OTHER_WORDS = {
    **dict.fromkeys(("continue", "ignore"), "skip"),
    **dict.fromkeys(("continue_all", "wait"), "best_effort"),
    **dict.fromkeys(("stop", "fail", "halt"), "abort"),
    **dict.fromkeys(("abort", "stop_all"), "fail_fast"),
}
#: members that the field has and a later release brings
_LATER = ("on_cancel", "dispatch", "timer", "wait_for_signal", "worker")
#: words of the playbook → words of the chain
_PLACES = (("/parameters/payload", "/payload_template"), ("/id", "/name"), ("/action_ref", "/provider"))


def check(chains: Any, pointer: str, providers: Mapping[str, Json], faults: Faults) -> None:
    """Report every fault of all chains; ``providers`` are the definitions that steps may call."""
    if not isinstance(chains, list) or len(chains) > MAX_CHAINS:
        faults.add(pointer, f"must be a list of at most {MAX_CHAINS} chains")
        return
    names = [chain.get("name") for chain in chains if isinstance(chain, dict)]
    known = {name for name in names if isinstance(name, str)}
    sound: list[tuple[str, CompiledChain]] = []
    for number, chain in enumerate(chains):
        if faults.full:
            return
        place, found = f"{pointer}/{number}", len(faults.problems)
        _Checker(providers, known, faults).chain(chain, place)
        if isinstance(chain, dict) and names.index(chain.get("name")) != number and isinstance(chain.get("name"), str):
            faults.add(below(place, "name"), f"there are two chains named '{shown(chain['name'])}'")
        if len(faults.problems) == found:
            sound.append((place, compiled(chain)))
    _check_circles(chains, pointer, faults)
    for place, made in sound:
        if not faults.full:
            _check_playbook(place, made, providers, known, faults)


class _Checker:
    """The check of the members of one chain."""

    def __init__(self, providers: Mapping[str, Json], chains: set[str], faults: Faults) -> None:
        self.providers = providers
        self.chains = chains
        self.faults = faults

    def chain(self, chain: Any, pointer: str) -> None:
        if not isinstance(chain, dict):
            self.faults.add(pointer, "a chain must be an object with a name and steps")
            return
        self.members(chain, _CHAIN, "a chain", pointer)
        if not isinstance(chain.get("name"), str) or not _NAME.fullmatch(chain["name"]):
            words = "a chain's name has 1 to 64 letters, digits, '.', '_' and '-', and begins with a letter or digit"
            self.faults.add(below(pointer, "name"), words)
        self.each(chain, pointer, _CHAIN_RULES)
        steps = chain.get("steps")
        place = below(pointer, "steps")
        if not isinstance(steps, list) or not 1 <= len(steps) <= MAX_STEPS:
            self.faults.add(place, f"must be a list of 1 to {MAX_STEPS} steps")
            return
        for number, step in enumerate(steps):
            self.step(step, f"{place}/{number}")
        self.targets(steps, place)

    def members(self, given: Mapping[str, Any], allowed: tuple[str, ...], what: str, pointer: str) -> None:
        for member in given:
            if member in _LATER:
                self.faults.add(below(pointer, member), f"'{member}' in chains comes with a later release")
            elif member not in allowed:
                hint = self.faults.hint(member, allowed)
                self.faults.add(below(pointer, shown(member)), f"'{shown(member)}' is no member of {what}{hint}")

    def each(self, given: Mapping[str, Any], pointer: str, rules: Mapping[str, Callable[[Any], str | None]]) -> None:
        for member, rule in rules.items():
            value = given.get(member)
            detail = rule(value) if value is not None else None
            if detail:
                self.faults.add(below(pointer, member), detail)

    def step(self, step: Any, pointer: str, *, inside: bool = False) -> None:
        if not isinstance(step, dict):
            self.faults.add(pointer, "a step must be an object with a name")
            return
        name = step.get("name")
        if not isinstance(name, str) or not _STEP.fullmatch(name) or name.startswith(GENERATED):
            words = "a step's name has 1 to 64 letters, digits, '_' and '-', so that templates can name it"
            self.faults.add(below(pointer, "name"), words)
        kinds = [kind for kind in _KINDS if step.get(kind) is not None]
        if len(kinds) != 1:
            self.faults.add(
                pointer, f"a step has exactly one of provider, sub_chain and parallel{self.other(step, kinds)}"
            )
            return
        members = {"provider": _CALL, "sub_chain": _SUB_CHAIN, "parallel": _PARALLEL}[kinds[0]]
        common = ("name", "on_failure", "delay_seconds") if inside else _STEP_COMMON
        self.members(step, (*common, *members), f"a step with {kinds[0]}", pointer)
        self.each(step, pointer, _STEP_RULES)
        {"provider": self.call, "sub_chain": self.sub_chain, "parallel": self.parallel}[kinds[0]](step, pointer)
        if inside and (kinds[0] == "parallel" or (kinds[0] == "sub_chain" and step.get("delay_seconds"))):
            self.faults.add(pointer, "steps that run in parallel call providers or chains, without a delay")
        for number, branch in enumerate(_listed(step.get("branches"))):
            self.branch(branch, f"{pointer}/branches/{number}")

    def other(self, step: Mapping[str, Any], kinds: list[str]) -> str:
        """The first member that is none of a step's, where its kind is missing."""
        known = (*_KINDS, *_STEP_COMMON, *_CALL, *_LATER)
        unknown = [] if kinds else [member for member in step if member not in known]
        if not unknown:
            return ""
        return f", and '{shown(unknown[0])}' is none{self.faults.hint(unknown[0], _KINDS, _OTHER_KINDS)}"

    def call(self, step: Mapping[str, Any], pointer: str) -> None:
        self.reference(step["provider"], "provider", self.providers, below(pointer, "provider"))
        if not is_line(step.get("action_type"), MAX_NAME_CHARACTERS):
            words = f"a call of a provider needs its action_type: 1 to {MAX_NAME_CHARACTERS} characters"
            self.faults.add(below(pointer, "action_type"), words)
        retry = step.get("retry")
        if isinstance(retry, dict):
            place = below(pointer, "retry")
            self.members(retry, _RETRY, "retry", place)
            self.each(retry, place, _RETRY_RULES)
            strategy = retry.get("strategy", "exponential")
            if strategy in ("fixed", "linear") and retry.get("max_retries", 0) not in (0, 1):
                words = f"'{strategy}' is not available: every pause is twice as long as the one before (exponential)"
                self.faults.add(below(place, "strategy"), words)

    def sub_chain(self, step: Mapping[str, Any], pointer: str) -> None:
        self.reference(step["sub_chain"], "chain", self.chains, below(pointer, "sub_chain"))

    def reference(self, name: Any, what: str, known: Any, place: str) -> None:
        if not isinstance(name, str) or name not in known:
            self.faults.add(place, f"there is no {what} '{shown(name)}'{self.faults.hint(name, sorted(known))}")

    def parallel(self, step: Mapping[str, Any], pointer: str) -> None:
        group, place = step["parallel"], below(pointer, "parallel")
        if not isinstance(group, dict):
            self.faults.add(place, "must be an object with its steps")
            return
        self.members(group, _GROUP, "parallel", place)
        self.each(group, place, _GROUP_RULES)
        steps = group.get("steps")
        if not isinstance(steps, list) or not 1 <= len(steps) <= MAX_STEPS:
            self.faults.add(below(place, "steps"), f"must be a list of 1 to {MAX_STEPS} steps")
            return
        for number, inner in enumerate(steps):
            self.step(inner, f"{place}/steps/{number}", inside=True)
        most: Any = group.get("max_concurrency")
        if is_whole(most, 1, MAX_STEPS) and most < len(steps):
            words = "all steps in parallel begin at once: leave it out, or divide the steps"
            self.faults.add(below(place, "max_concurrency"), words)

    def branch(self, branch: Any, pointer: str) -> None:
        if not isinstance(branch, dict):
            self.faults.add(pointer, f"must be an object with {', '.join(_BRANCH)}")
            return
        self.members(branch, _BRANCH, "a branch", pointer)
        field, operator = branch.get("field"), branch.get("operator")
        if not isinstance(field, str) or not re.fullmatch(r"success|body(\.[^.\[\]{}]{1,64}){0,10}", field):
            words = "must be success, body, or a path such as body.severity"
            self.faults.add(below(pointer, "field"), words)
        if operator not in _OPERATORS:
            hint = self.faults.hint(operator, _OPERATORS)
            self.faults.add(below(pointer, "operator"), f"must be one of {', '.join(_OPERATORS)}{hint}")
            return
        detail = _value_fault(field, operator, branch.get("value"))
        if detail:
            self.faults.add(below(pointer, "value"), detail)

    def targets(self, steps: list[Any], pointer: str) -> None:
        """Report links that lead to no step, or in a circle."""
        names = [_text(step.get("name")) for step in _dicts(steps)]
        links = [_links(step, names[number + 1 :]) for number, step in enumerate(_dicts(steps))]
        ahead = {name: set(found.values()) for name, found in zip(names, links, strict=True)}
        distinct = len(ahead) == len(names)  # a name used twice is reported with the playbook
        for number, found in enumerate(links):
            for place, name in found.items():
                if name not in names:
                    hint = self.faults.hint(name, names)
                    self.faults.add(f"{pointer}/{number}{place}", f"there is no step '{shown(name)}'{hint}")
                elif distinct and names.index(name) <= number and names[number] in _reached(name, ahead):
                    words = "the chain would never end: what is to be repeated needs a playbook with a loop"
                    self.faults.add(f"{pointer}/{number}{place}", f"leads back to '{shown(name)}': {words}")


def _text(name: Any) -> str:
    """A name; an empty one for what is none, which is reported elsewhere."""
    return name if isinstance(name, str) else ""


def _links(step: Mapping[str, Any], behind: list[Any]) -> dict[str, Any]:
    """The steps that may follow a step, by the place of the link."""
    branches = enumerate(_dicts(step.get("branches")))
    found = {f"/branches/{number}/target": _text(branch.get("target")) for number, branch in branches}
    if step.get("default_next") is not None:
        return {**found, "/default_next": _text(step["default_next"])}
    return {**found, "/name": behind[0]} if behind else found


def _reached(name: Any, ahead: Mapping[Any, set[Any]]) -> set[Any]:
    """A step and all that may follow it."""
    reached, waiting = set(), {name}
    while waiting:
        one = waiting.pop()
        reached.add(one)
        waiting |= ahead.get(one, set()) - reached
    return reached


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _dicts(value: Any) -> list[Json]:
    return [one if isinstance(one, dict) else {} for one in _listed(value)]


def _value_fault(field: Any, operator: str, value: Any) -> str | None:
    if operator == "exists":
        return None if field != "success" else "success always exists: compare it with eq true"
    if field == "success":
        fits = operator in ("eq", "neq") and isinstance(value, bool)
        return None if fits else "success is compared with eq or neq and true or false"
    if operator == "contains":
        return None if isinstance(value, str) and value else "must be the text to find"
    if operator in ("gt", "lt", "gte", "lte"):
        return None if isinstance(value, str) or is_number(value) else "must be a number or a text"
    fits = value is None or isinstance(value, str | bool) or is_number(value)
    return None if fits else "must be a text, a number, true, false or null"


def _payload(value: Any) -> str | None:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as error:
            return f"must be an object, or the text of a JSON object: {error}"
    return None if isinstance(value, dict) else "must be an object, whose texts may hold templates"


def _one_of(words: tuple[str, ...]) -> Callable[[Any], str | None]:
    def fault(value: Any) -> str | None:
        if value in words:
            return None
        synonyms = {other: word for other, word in _OTHER_WORDS.items() if word in words}
        return f"must be one of {', '.join(words)}{did_you_mean(shown(value), words, synonyms=synonyms)}"

    return fault


def _whole(least: int, most: int, unit: str = "") -> Callable[[Any], str | None]:
    words = f"must be a whole number{unit} from {least} to {most}"
    return lambda value: None if is_whole(value, least, most) else words


def _join(value: Any) -> str | None:
    if value == "any":
        return "'any' is not available: all steps are waited for"
    return None if value == "all" else "must be all"


_CHAIN_RULES: dict[str, Callable[[Any], str | None]] = {
    "description": lambda value: (
        None if is_text(value, MAX_DESCRIPTION_CHARACTERS) else f"must be at most {MAX_DESCRIPTION_CHARACTERS} long"
    ),
    "on_failure": _one_of(("abort", "abort_no_dlq")),
    "timeout_seconds": _whole(1, MAX_TIMEOUT_MINUTES * 60, " of seconds"),
}
_STEP_RULES: dict[str, Callable[[Any], str | None]] = {
    "on_failure": _one_of(_ON_FAILURE),
    "delay_seconds": _whole(0, MAX_WAIT_SECONDS, " of seconds"),
    "payload_template": _payload,
    "retry": lambda value: None if isinstance(value, dict) else f"must be an object with {', '.join(_RETRY)}",
    "branches": lambda value: (
        None if isinstance(value, list) and len(value) <= MAX_BRANCHES else f"must be a list of up to {MAX_BRANCHES}"
    ),
}
_GROUP_RULES: dict[str, Callable[[Any], str | None]] = {
    "join": _join,
    "on_failure": _one_of(("fail_fast", "best_effort")),
    "timeout_seconds": _whole(1, MAX_WAIT_SECONDS, " of seconds"),
    "max_concurrency": _whole(1, MAX_STEPS),
}
_RETRY_RULES: dict[str, Callable[[Any], str | None]] = {
    "max_retries": _whole(0, MAX_ATTEMPTS - 1),
    "backoff_ms": _whole(0, MAX_BACKOFF_SECONDS * 1000, " of milliseconds"),
    "strategy": _one_of(("fixed", "linear", "exponential")),
    "jitter_ms": _whole(0, MAX_BACKOFF_SECONDS * 1000, " of milliseconds"),
}


def _sub_chains(chain: Mapping[str, Any]) -> set[str]:
    steps = _dicts(chain.get("steps"))
    for step in list(steps):
        group = step.get("parallel")
        steps += _dicts(group.get("steps")) if isinstance(group, dict) else []
    return {step["sub_chain"] for step in steps if isinstance(step.get("sub_chain"), str)}


def _check_circles(chains: list[Any], pointer: str, faults: Faults) -> None:
    """Report chains that run themselves, directly or through others."""
    runs = {chain["name"]: _sub_chains(chain) for chain in _dicts(chains) if isinstance(chain.get("name"), str)}
    for number, chain in enumerate(_dicts(chains)):
        name = chain.get("name")
        if isinstance(name, str) and any(name in _reached(one, runs) for one in runs[name]):
            faults.add(f"{pointer}/{number}/steps", f"the chain '{shown(name)}' runs itself through its sub_chain")


def _check_playbook(
    pointer: str,
    made: CompiledChain,
    providers: Mapping[str, Json],
    chains: set[str],
    faults: Faults,
) -> None:
    faults.extend(pointer, made.problems)
    if made.problems:
        return
    actions = {PROVIDER_PREFIX + one: definition for one, definition in providers.items()}
    found = check_playbook(made.definition, actions, {CHAIN_PREFIX + one for one in chains})
    faults.extend(pointer, [Problem(_place(problem.pointer, made), problem.detail) for problem in found])


def _place(pointer: str, made: CompiledChain) -> str:
    """The place in the chain of a place in its playbook."""
    parts = pointer.split("/")
    place = made.places.get("/".join(parts[:3]), "")
    rest = "/" + "/".join(parts[3:]) if parts[3:] else ""
    if rest.startswith("/branches/"):  # of a parallel step: /branches/2/steps/0/...
        inner = rest.split("/")
        rest = "/".join(["", "parallel", "steps", inner[2], *inner[5:]])
    for ours, theirs in _PLACES:
        rest = rest.replace(ours, theirs, 1)
    return place + rest
