"""Rules and facts for tests: written ones, random ones, and a second opinion on what they decide."""

import math
from typing import Any

from hypothesis import strategies as st

from gateway.facts import GATEWAY_ORIGINS, ORIGINS, Facts
from gateway.merge_patch import patched
from gateway.rules import written
from gateway.rules.effects import Names
from gateway.rules.ruleset import Ruleset
from playbooks.checks.faults import Faults

AT = 1_767_225_600_000  # 2026-01-01T00:00:00Z, a Thursday
WORDS = ["a", "b", "ab", "acme", "acme.eu"]
KEY_FIELDS = [f"action.{name}" for name in ("origin", "namespace", "tenant", "provider", "action_type")]
FIELDS = [*KEY_FIELDS, "action.payload.a", "action.payload.b.a", "action.payload.list[1]", "action.metadata.a"]
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(0, 2), st.sampled_from([0.0, 1.0, 1.5, *WORDS]))
PAYLOADS = st.fixed_dictionaries(
    {},
    optional={"a": SCALARS, "b": st.one_of(SCALARS, st.fixed_dictionaries({"a": SCALARS})), "list": st.lists(SCALARS)},
)
EXPRESSIONS = [
    "action.payload.a == 'a'",
    "action.payload.a > 0",
    "action.provider == 'a'",
    "action.tenant.startsWith('ac')",
    "action.provider > 1",
    "has(action.payload.b) && action.payload.b.a == 1",
    "time.hour < 12",
]
OUTCOMES = ["executed", "failed"]


def faults_of(rule, names=None):
    """The faults of one rule, as pointer and text."""
    faults = Faults()
    written.check(rule, "", names or Names(), faults)
    return [(problem.pointer, problem.detail) for problem in faults.listed()]


def ruleset(*rules, switches=None):
    """The rules, which must be free of faults."""
    for rule in rules:
        assert faults_of(rule) == [], rule
    return Ruleset([written.normalise(rule, "rules.yaml", place) for place, rule in enumerate(rules)], switches)


def facts(**given: Any) -> Facts:
    """Facts of a dispatch, with other values where given."""
    common = {
        "origin": "dispatch",
        "namespace": "alerts",
        "tenant": "acme",
        "provider": "email",
        "action_type": "send_email",
        "at": AT,
        "payload": {},
        "metadata": {},
    }
    return Facts(**{**common, **given})


FACTS = st.builds(
    Facts,
    st.sampled_from(ORIGINS),
    *[st.sampled_from(WORDS) for _ in range(4)],
    st.just(AT),
    PAYLOADS,
    st.dictionaries(st.just("a"), st.sampled_from(WORDS)),
)


class Records:
    """Recorded outcomes: the number for each action type."""

    def __init__(self, counts):
        self.counts = counts

    def count(self, query, most):
        return min(self.counts.get(query.action_type, 0), most)


RECORDS = st.builds(Records, st.dictionaries(st.sampled_from(WORDS), st.integers(0, 3)))


@st.composite
def comparisons(draw):
    operator = draw(st.sampled_from(["eq", "ne", "gt", "lte", "contains", "starts_with", "regex", "in_list", "exists"]))
    values = {
        "gt": st.sampled_from([0, 1, "a"]),
        "lte": st.sampled_from([0, 1, "b"]),
        "contains": st.sampled_from(["a", 1]),
        "starts_with": st.sampled_from(["a", "ac"]),
        "regex": st.sampled_from(["^a", "b$", "."]),
        "in_list": st.lists(SCALARS, min_size=1),
        "exists": st.booleans(),
    }
    field = draw(st.sampled_from(FIELDS))
    if field == "action.origin" and operator in ("eq", "ne", "in_list"):  # its values are a closed set
        origins = st.sampled_from([None, *ORIGINS])
        return {"field": field, operator: draw(st.lists(origins, min_size=1) if operator == "in_list" else origins)}
    return {"field": field, operator: draw(values.get(operator, SCALARS))}


LEAVES = st.one_of(
    comparisons(),
    comparisons(),
    st.builds(lambda value: {"field": "action.origin", "eq": value}, st.sampled_from(ORIGINS)),
    st.builds(
        lambda field, value: {"field": field, "eq": value}, st.sampled_from(KEY_FIELDS[1:]), st.sampled_from(WORDS)
    ),
    st.builds(lambda source: {"expression": source}, st.sampled_from(EXPRESSIONS)),
    st.builds(lambda word: {"state_seen": word, "within_seconds": 60}, st.sampled_from(WORDS)),
    st.builds(
        lambda word, least: {"state_counter": word, "within_seconds": 60, "gt": least},
        st.sampled_from(WORDS),
        st.integers(0, 3),
    ),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda parts: {"all": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda parts: {"any": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda part: {"not": part}, inner),
    ),
    max_leaves=6,
)
ACTIONS = st.sampled_from(
    [
        {"type": "allow"},
        {"type": "deny"},
        {"type": "suppress"},
        {"type": "reroute", "target_provider": "b"},
        {"type": "chain", "chain_name": "c"},
        {"type": "schedule", "delay_seconds": 5},
        {"type": "modify", "changes": {"a": "b", "b": {"a": 1}}},
        {"type": "modify", "changes": {"a": None}},
        {"type": "deduplicate", "ttl_seconds": 5},
        {"type": "throttle", "max_count": 2, "window_seconds": 5, "by": ["payload.a"]},
        {"type": "group", "group_by": ["payload.a"]},
        {"type": "state_machine", "state_machine": "alert"},
    ]
)
#: the origins that a rule of some types may name
_MAY_NAME = {
    "chain": [origin for origin in ORIGINS if origin != "chain"],
    "group": ["dispatch", "event"],
    "state_machine": ["dispatch"],
}


@st.composite
def rules(draw):
    """Some rules by names in their order."""
    found = []
    for number in range(draw(st.integers(1, 8))):
        rule = {"name": f"r{number}", "condition": draw(TREES), "action": draw(ACTIONS)}
        rule["priority"] = draw(st.integers(0, 2))
        rule["mode"] = draw(st.sampled_from(["enforce", "enforce", "shadow"]))
        if rule["action"]["type"] in ("modify", "deduplicate", "throttle"):
            rule["continue"] = draw(st.booleans())
        if draw(st.booleans()):
            allowed = _MAY_NAME.get(rule["action"]["type"], ORIGINS)
            rule["origins"] = draw(st.lists(st.sampled_from(allowed), min_size=1, unique=True))
        if draw(st.booleans()):
            rule["tenants"] = draw(st.lists(st.sampled_from(["*", "acme", "acme.eu", "b"]), min_size=1))
        found.append(rule)
    return found


# A second opinion: what rules mean, written without closures, candidates or three values known beforehand.


def opinion(written_rules, given, recorded):
    """(kind, rule, rules with checks, patches, shadows) by the book."""
    checks, patches, shadows, last = [], [], [], None
    for rule in sorted(written_rules, key=lambda one: one["priority"]):
        kind = rule["action"]["type"]
        where = GATEWAY_ORIGINS - {"approval", "audit", "silence"} - ({"chain"} if kind == "chain" else set())
        where = {"dispatch"} if kind in ("group", "state_machine") else where
        elsewhere = kind in ("reroute", "chain", "group", "state_machine")
        if given.origin not in rule.get("origins", where if elsewhere else ORIGINS):
            continue
        names = rule.get("tenants", ["*"])
        if not any(name == "*" or f"{given.tenant}.".startswith(f"{name}.") for name in names):
            continue
        if _holds(rule["condition"], given, recorded) is not True:
            continue
        if rule["mode"] == "shadow":
            shadows.append((rule["name"], kind))
            continue
        last = (kind, rule["name"])
        if kind in ("deduplicate", "throttle"):
            checks.append(rule["name"])
        if kind == "modify":
            patches.append(rule["action"]["changes"])
            given = given._replace(payload=patched(given.payload, patches[-1]))
        if not rule.get("continue"):
            break
    stops = last is not None and last[0] in ("deny", "suppress")
    return (*(last or ("allow", None)), [] if stops else checks, patches, shadows)


def _holds(tree, given, recorded):
    if "all" in tree or "any" in tree:
        values = [_holds(part, given, recorded) for part in tree.get("all", tree.get("any"))]
        strong = "any" in tree
        return strong if strong in values else None if None in values else not strong
    if "not" in tree:
        value = _holds(tree["not"], given, recorded)
        return None if value is None else not value
    if "expression" in tree:
        return _expression(tree["expression"], given)
    if "state_seen" in tree:
        return recorded.counts.get(tree["state_seen"], 0) > 0
    if "state_counter" in tree:
        return recorded.counts.get(tree["state_counter"], 0) > tree["gt"]
    value = _value(tree["field"], given)
    return all(_compare(operator, value, wanted) for operator, wanted in tree.items() if operator != "field")


def _value(field, given):
    value = given._asdict()
    for step in field.replace("[", ".").replace("]", "").split(".")[1:]:
        if isinstance(value, list) and step.isdigit():
            value = value[int(step)] if int(step) < len(value) else None
        else:
            value = value.get(step) if isinstance(value, dict) else None
    return value


def _kind(value):
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


def _equal(value, wanted):
    return _kind(value) == _kind(wanted) and value == wanted


def _compare(operator, value, wanted):
    if operator in ("gt", "lte"):
        if _kind(value) != _kind(wanted) or _kind(value) not in ("number", "str"):
            return False
        return value > wanted if operator == "gt" else value <= wanted
    if operator == "contains" and isinstance(value, list):
        return any(_equal(item, wanted) for item in value)
    text = value if isinstance(value, str) else None
    return {
        "eq": lambda: _equal(value, wanted),
        "ne": lambda: not _equal(value, wanted),
        "contains": lambda: text is not None and isinstance(wanted, str) and wanted in text,
        "starts_with": lambda: text is not None and text[: len(wanted)] == wanted,
        "regex": lambda: {"^a": (text or "")[:1] == "a", "b$": (text or "")[-1:] == "b", ".": bool(text)}[wanted],
        "in_list": lambda: any(_equal(value, item) for item in wanted),
        "exists": lambda: (value is not None) is wanted,
    }[operator]()


def _expression(source, given):
    payload, provider = given.payload, given.provider
    value = payload.get("a", math.nan)
    nested = payload.get("b")
    return {
        "action.payload.a == 'a'": lambda: None if "a" not in payload else _same_kind(value, "a"),
        "action.payload.a > 0": lambda: None if _kind(value) != "number" or "a" not in payload else value > 0,
        "action.provider == 'a'": lambda: provider == "a",
        "action.tenant.startsWith('ac')": lambda: given.tenant.startswith("ac"),
        "action.provider > 1": lambda: None,
        "has(action.payload.b) && action.payload.b.a == 1": lambda: (
            False if "b" not in payload else _one(nested["a"]) if isinstance(nested, dict) and "a" in nested else None
        ),
        "time.hour < 12": lambda: True,
    }[source]()


def _same_kind(value, wanted):
    return value == wanted if isinstance(value, str) else False


def _one(value):
    return value == 1 if _kind(value) == "number" else False
