"""Conditions: from the tree that a rule writes to two functions.

``test`` decides about an execution: true, false, or None where an expression cannot be evaluated (a missing key, types
that do not fit). ``known`` decides from the key alone: false when no payload can make the condition true, true when
none can make it false, else None. Both combine their parts as Kleene's logic does, so that the order of the parts never
matters. Parts in memory come first, expressions after them, then those that ask the database, and last those that
compare texts by meaning.

The texts of conditions are for records and traces: what a condition compares a credential with is masked in them. A
tree that gets here is free of faults (``gateway.rules.condition_checks``).
"""

import contextlib
import functools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import Any

from config.types import Json
from expressions import references
from expressions.conditions import evaluation
from gateway.facts import Facts, Key
from gateway.rules import event_conditions, fields, operators, recorded
from gateway.semantics import texts
from gateway.semantics.similarity import EmbeddingFailed, Meaning, NoMeaning, Topic
from gateway.verdicts import Problem
from playbooks.credentials import MASK

_MAX_TEXT = 1000
#: the cost of evaluating a part: in memory, CEL, a query, an embedding
_MEMORY, _CEL, _QUERY, _MEANING = range(4)
_NO_MEANING = NoMeaning()


@dataclass(slots=True)
class Evaluation:
    """One decision under way: where outcomes are recorded, what texts mean, and what failed.

    ``compared`` are the comparisons by meaning so far, in words, by rule and topic. ``assumed`` are the rules of which
    a comparison counts as true because it could not be made.
    """

    recorded: recorded.Recorded
    problems: list[Problem] = field(default_factory=list)
    meaning: Meaning = _NO_MEANING
    compared: dict[str, dict[str, str]] = field(default_factory=dict)
    assumed: set[str] = field(default_factory=set)


Test = Callable[[Facts, Evaluation], bool | None]
Known = Callable[[Key], bool | None]


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled condition.

    ``known`` None means that the key alone never decides; ``certain`` that ``test`` never gives None. ``path`` is the
    field of a field check, or of the text that is compared by meaning; ``compare`` tells of that comparison. ``texts``
    are those of which a field outside the key must be one, where nothing else meets the condition.
    """

    kind: str
    text: str
    test: Test
    known: Known | None = None
    certain: bool = True
    cost: int = _MEMORY
    parts: tuple["Condition", ...] = ()
    path: fields.Path | None = None
    read: fields.Reader | None = None
    compare: Callable[[Facts, Evaluation], Json] | None = None
    texts: frozenset[str] | None = None

    @property
    def needed(self) -> Iterator["Condition"]:
        """Parts in memory that must hold for it to hold, and that are asked before any other."""
        yield self
        for part in self.parts if self.kind == "all" else ():
            if part.cost == _MEMORY:
                yield from part.needed


def compiled(tree: Mapping[str, Any], zone: tzinfo, rule: str) -> Condition:
    """The condition of a rule; ``zone`` is for its ``time.*``."""
    if "all" in tree:
        return _all([compiled(part, zone, rule) for part in tree["all"]])
    if "any" in tree:
        return _any([compiled(part, zone, rule) for part in tree["any"]])
    if "not" in tree:
        return _not(compiled(tree["not"], zone, rule))
    for kind, of_others in _OF_OTHERS.items():
        if kind in tree:
            return of_others(tree)
    if "expression" in tree:
        return _expression(tree["expression"], zone, rule)
    if "semantic_match" in tree:
        return _meaning(tree["semantic_match"], rule)
    return _field(tree, zone)


def _all(parts: Sequence[Condition]) -> Condition:
    parts = sorted(parts, key=lambda part: part.cost)
    if len(parts) == 1:
        return parts[0]
    tests = [part.test for part in parts]
    certain = all(part.certain for part in parts)
    text = _cut(f"({' and '.join(part.text for part in parts)})")
    test = _every(tests) if certain else _every_uncertain(tests)
    return Condition("all", text, test, _all_known(parts), certain, parts[-1].cost, tuple(parts))


def _every(tests: Sequence[Test]) -> Test:
    if len(tests) == 2:  # noqa: PLR2004 - the commonest, without a loop
        first, second = tests
        return lambda facts, this: first(facts, this) and second(facts, this)

    def test(facts: Facts, this: Evaluation) -> bool | None:
        for one in tests:  # noqa: SIM110 - a generator takes twice as long
            if not one(facts, this):
                return False
        return True

    return test


def _every_uncertain(tests: Sequence[Test]) -> Test:
    def test(facts: Facts, this: Evaluation) -> bool | None:
        result: bool | None = True
        for one in tests:
            value = one(facts, this)
            if value is False:
                return False
            if value is None:
                result = None
        return result

    return test


def _all_known(parts: Sequence[Condition]) -> Known | None:
    tests = [part.known for part in parts if part.known is not None]
    if not tests:
        return None
    at_best = True if len(tests) == len(parts) else None

    def known(key: Key) -> bool | None:
        result = at_best
        for one in tests:
            value = one(key)
            if value is False:
                return False
            if value is None:
                result = None
        return result

    return known


def _any(parts: Sequence[Condition]) -> Condition:
    parts = sorted(parts, key=lambda part: part.cost)
    if len(parts) == 1:
        return parts[0]
    tests = [part.test for part in parts]
    certain = all(part.certain for part in parts)
    text = _cut(f"({' or '.join(part.text for part in parts)})")
    test = _some(tests) if certain else _some_uncertain(tests)
    return Condition("any", text, test, _any_known(parts), certain, parts[-1].cost, tuple(parts))


def _some(tests: Sequence[Test]) -> Test:
    if len(tests) == 2:  # noqa: PLR2004 - the commonest, without a loop
        first, second = tests
        return lambda facts, this: first(facts, this) or second(facts, this)

    def test(facts: Facts, this: Evaluation) -> bool | None:
        for one in tests:  # noqa: SIM110 - a generator takes twice as long
            if one(facts, this):
                return True
        return False

    return test


def _some_uncertain(tests: Sequence[Test]) -> Test:
    def test(facts: Facts, this: Evaluation) -> bool | None:
        result: bool | None = False
        for one in tests:
            value = one(facts, this)
            if value:
                return True
            if value is None:
                result = None
        return result

    return test


def _any_known(parts: Sequence[Condition]) -> Known | None:
    tests = [part.known for part in parts if part.known is not None]
    if not tests:
        return None
    at_worst = False if len(tests) == len(parts) else None

    def known(key: Key) -> bool | None:
        result = at_worst
        for one in tests:
            value = one(key)
            if value:
                return True
            if value is None:
                result = None
        return result

    return known


def _not(part: Condition) -> Condition:
    inner, inner_known = part.test, part.known

    def test(facts: Facts, this: Evaluation) -> bool | None:
        value = inner(facts, this)
        return None if value is None else not value

    def known(key: Key) -> bool | None:
        value = inner_known(key) if inner_known else None
        return None if value is None else not value

    return Condition(
        "not", _cut(f"not {part.text}"), test, known if inner_known else None, part.certain, part.cost, (part,)
    )


def _field(tree: Mapping[str, Any], zone: tzinfo) -> Condition:
    """A field check; several operators must all hold."""
    path = fields.parse(tree["field"])
    return _all([_comparison(path, operator, tree[operator], zone) for operator in tree if operator != "field"])


def _comparison(path: fields.Path, operator: str, wanted: Any, zone: tzinfo) -> Condition:
    read = fields.reader(path, zone)
    test = _fused(path, operator, wanted) or _read_and_test(read, operators.test(operator, wanted))
    known = _of_key(test) if fields.in_key(path) else None
    shown = MASK if fields.is_secret(path) else json.dumps(wanted, ensure_ascii=False)
    text = _cut(f"{fields.spelled(path)} {operator} {shown}")
    texts = _texts(operator, wanted) if known is None and path[0] == "action" else None
    return Condition("field", text, test, known, path=path, read=read, texts=texts)


def _texts(operator: str, wanted: Any) -> frozenset[str] | None:
    """The texts that alone meet a check; None where there are others, or values that are none."""
    values = [wanted] if operator == "eq" else wanted if operator == "in_list" else ()
    return frozenset(values) if values and all(isinstance(value, str) for value in values) else None


def _of_key(test: Any) -> Known:
    """A test of a fact in the key; facts begin with the key, so the same function reads both."""
    return lambda key: bool(test(key, None))


def _read_and_test(read: fields.Reader, passes: operators.Test) -> Test:
    return lambda facts, _this: passes(read(facts))


def _fused(path: fields.Path, operator: str, wanted: Any) -> Test | None:
    """Reading and comparing in one function, for the commonest checks."""
    if operator != "eq" or not isinstance(wanted, str) or path[0] != "action":
        return None
    place = fields.ACTION_FIELDS[path[1]]
    if len(path) == 2:  # noqa: PLR2004 - a field without members
        return lambda facts, _this: facts[place] == wanted
    if len(path) == 3:  # noqa: PLR2004 - a member of the payload or the labels
        name = path[2]

        def member(facts: Any, _this: Evaluation) -> bool:
            return facts[place].get(name) == wanted  # type: ignore[no-any-return]

        return member
    return None


def _expression(source: str, zone: tzinfo, rule: str) -> Condition:
    paths = references.condition_paths(source)
    with_time = any(path[0] == "time" for path in paths)

    def test(facts: Facts, this: Evaluation) -> bool | None:
        try:
            return evaluation.holds(source, _context(facts, zone if with_time else None))
        except evaluation.ConditionError as error:
            this.problems.append(Problem(rule, str(error)))
            return None

    key_only = bool(paths) and all(len(path) > 1 and fields.in_key(path) for path in paths)
    known = _known_expression(source) if key_only else None
    text = "an expression about a credential" if any(map(fields.is_secret, paths)) else _cut(source)
    return Condition("expression", text, test, known, certain=False, cost=_CEL)


def _known_expression(source: str) -> Known:
    def known(key: Key) -> bool | None:
        try:
            return evaluation.holds(source, {"action": dict(zip(Facts._fields, key, strict=False))})
        except evaluation.ConditionError:  # the same error comes when the rule is asked, and is reported there
            return None

    return known


def _context(facts: Facts, zone: tzinfo | None) -> Json:
    """The names that an expression may use."""
    context: Json = {"action": {name: facts[place] for name, place in fields.ACTION_FIELDS.items()}}
    if zone is not None:
        context["time"] = {name: fields.reader(("time", name), zone)(facts) for name in fields.TIME_FIELDS}
    return context


def _seen(tree: Mapping[str, Any]) -> Condition:
    what, within = tree["state_seen"], tree["within_seconds"]
    test = recorded.seen(what, within)
    text = _cut(f"seen within {within} s: {recorded.name_of(what)}")
    return Condition("state_seen", text, lambda facts, this: test(facts, this.recorded), cost=_QUERY)


def _counter(tree: Mapping[str, Any]) -> Condition:
    what, within = tree["state_counter"], tree["within_seconds"]
    wanted = {name: value for name, value in tree.items() if name in operators.NUMERIC}
    test = recorded.counter(what, within, wanted)
    limits = " and ".join(f"{operator} {value}" for operator, value in wanted.items())
    text = _cut(f"number within {within} s of {recorded.name_of(what)} {limits}")
    return Condition("state_counter", text, lambda facts, this: test(facts, this.recorded), cost=_QUERY)


def _of_event(tree: Mapping[str, Any], kind: str) -> Condition:
    text, test = event_conditions.compiled(tree, kind)
    return Condition(kind, _cut(text), lambda facts, this: test(facts, this.recorded), cost=_QUERY)


#: conditions about what else there is, besides the execution itself
_OF_OTHERS: dict[str, Callable[[Mapping[str, Any]], Condition]] = {
    "state_seen": _seen,
    "state_counter": _counter,
    **{kind: functools.partial(_of_event, kind=kind) for kind in event_conditions.KINDS},
}


def _meaning(form: Mapping[str, Any], rule: str) -> Condition:
    """A comparison of a text with a topic by what they mean.

    A text without words is about nothing, whatever the topic. Where the provider fails, the comparison is undecided or,
    if the rule says so, true.
    """
    topic, given, path = Topic(form["topic"]), form.get("threshold"), fields.parse(form["text_field"])
    read, about = fields.reader(path, UTC), json.dumps(form["topic"], ensure_ascii=False)

    def test(facts: Facts, this: Evaluation) -> bool | None:
        text = texts.of(read(facts))
        if not texts.has_words(text):
            return False
        limit = this.meaning.threshold if given is None else given
        try:
            found = this.meaning.similarity(topic, text)
        except EmbeddingFailed as error:
            this.meaning.note("failed")
            this.problems.append(Problem(rule, f"{fields.spelled(path)} is not compared with {about}: {error}"))
            if form["on_error"] != "match":
                return None
            this.assumed.add(rule)
            return True
        this.compared.setdefault(rule, {})[about] = f"similarity {found} with {about}, threshold {limit}"
        this.meaning.note("matched" if found >= limit else "not_matched")
        return bool(found >= limit)

    def compare(facts: Facts, this: Evaluation) -> Json:
        text = texts.of(read(facts))
        limit = this.meaning.threshold if given is None else given
        told: Json = {"topic": form["topic"], "threshold": limit, "similarity": None}
        if texts.has_words(text):
            with contextlib.suppress(EmbeddingFailed):
                told["similarity"] = this.meaning.similarity(topic, text)
        return told

    least = "" if given is None else f" by {given} or more"
    words = _cut(f"{fields.spelled(path)} is about {about}{least}")
    return Condition("semantic_match", words, test, certain=False, cost=_MEANING, path=path, read=read, compare=compare)


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 1] + "…"
