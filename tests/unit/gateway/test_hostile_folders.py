"""Whatever a folder holds, loading it gives a generation or faults, never an error."""

import copy
import json

import yaml
from hypothesis import given
from hypothesis import strategies as st

from gateway.configuration.folder import load
from gateway.configuration.generation import read
from tests.support.gateway_folder import AROUND, CHAINS, PROVIDERS, RULES

MORE_RULES = """\
rules:
  - name: everything
    priority: 1
    enabled: true
    description: x
    metadata: {owner: soc}
    timezone: Europe/Berlin
    origins: [dispatch, step]
    tenants: [acme]
    mode: shadow
    continue: true
    condition:
      any:
        - not: {field: "action.payload.a[0]", in_list: [1, x], regex: "^a", exists: true}
        - expression: "action.payload.n > 1"
        - {state_seen: {action_type: a, outcome: failed}, within_seconds: 60}
        - {state_counter: b, within_seconds: 60, gt: 3}
    action:
      type: throttle
      max_count: 5
      window_seconds: 60
      by: [payload.host]
      distinct: action.metadata.target
      on_excess: reject
      reason: x
  - {name: dedup, condition: {field: action.id, ne: 1.5}, action: {type: deduplicate, ttl_seconds: 5, key_fields: [id]}}
  - {name: modify, condition: {field: action.id, gt: 1}, action: {type: modify, changes: {a: {b: null}}}}
  - {name: later, condition: {field: action.id, lte: "2026"}, action: {type: schedule, delay_seconds: 5}}
"""
VALID = {
    "providers.yaml": yaml.safe_load(PROVIDERS),
    "chains.yaml": yaml.safe_load(CHAINS),
    "rules/a.yaml": yaml.safe_load(RULES),
    "rules/b.yaml": yaml.safe_load(MORE_RULES),
}
ODD = st.one_of(
    st.sampled_from(
        [
            None,
            True,
            0,
            -1,
            1.5,
            10**30,
            "",
            "x",
            "{{",
            "{{ x }}",
            "${",
            "${X}",
            "$",
            "*",
            ".",
            "a.b",
            "\ud800",
            "é" * 300,
        ]
    ),
    st.sampled_from([[], {}, [None], {"": 1}, [[]], {"a": {"b": []}}, [{}], {"secret": "x"}, ["x"] * 300]),
    st.sampled_from(["action.payload.x", "provider", "email", "drill", "success", "body.x", "allow", "chain", "regex"]),
)


def places(value, at=()):
    """Every place in a value."""
    yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        yield from places(item, (*at, name))


PLACES = [(file, place) for file, value in VALID.items() for place in places(value) if place]


@st.composite
def spoilt(draw):
    """The valid folder with some members replaced, removed, added or renamed."""
    folder = copy.deepcopy(VALID)
    for _ in range(draw(st.integers(1, 3))):
        file, place = draw(st.sampled_from(PLACES))
        container = folder[file]
        try:
            for step in place[:-1]:
                container = container[step]
            what = draw(st.sampled_from(["replace", "remove", "rename", "double"]))
            if what == "replace":
                container[place[-1]] = draw(ODD)
            elif what == "remove":
                del container[place[-1]]
            elif what == "rename" and isinstance(container, dict):
                container[draw(st.sampled_from(["x", "", "nam", "a/b", "~", "secret"]))] = container.pop(place[-1])
            elif isinstance(container, list):
                container.append(copy.deepcopy(container[place[-1]]))
        except (KeyError, IndexError, TypeError):
            continue
    return folder


def check(texts):
    """Load, and come back from the JSON."""
    found = load(texts, AROUND)
    assert (found.generation is None) is bool(found.faults)
    assert len(found.faults) <= 101
    for fault in found.faults:
        assert len(fault) < 2000
    if found.generation is not None:
        text = found.generation.text()
        again = read(text)
        assert again.text() == text
        assert again.ruleset().listed() == found.generation.ruleset().listed()
        assert found.generation.digest(b"k")


def test_the_valid_folder_is_valid():
    """What is spoilt below is a folder without faults."""
    found = load({file: json.dumps(value) for file, value in VALID.items()}, AROUND)
    assert found.faults == []


@given(spoilt())
def test_a_spoilt_folder_gives_faults_or_a_generation(folder):
    """No member, however odd, makes loading fail."""
    check({file: json.dumps(value, ensure_ascii=True) for file, value in folder.items()})


@given(st.dictionaries(st.sampled_from([*VALID, "x", "rules/x.yml"]), st.text(max_size=200)))
def test_any_text_gives_faults_or_a_generation(texts):
    """No text makes loading fail."""
    check(texts)
