"""Enums name each status, mode, kind and wait of a row."""

import ast

import pytest

from playbooks.states import Kind, Mode, Status, WaitingFor
from tests.house.sources import nodes
from tests.house.test_shape import ROOT, SOURCES

#: name of a column, a member or a variable → its words
WORDS = {
    "status": {*Status},
    "run_status": {*Status},
    "predicted_status": {*Status},
    "to": {*Status},
    "mode": {*Mode},
    "waiting_for": {*WaitingFor},
}
#: of these names only what belongs to a row counts (``row.kind``): others are called so too
ROWS_OWN = {"kind": {*Kind}}
#: calls whose plain arguments are statuses
ENTERING = {"transition", "finish", "entered", "move_and_add", "move_and_end", "Ending", "End", "learn", "after"}
#: what the API shows, as its clients see it; nothing there is compared or stored
EXEMPT = (
    "sdk/",  # which imports nothing of the server
    "launcher/demo",
    "api/actions/examples.py",
    "api/runs/examples.py",
    "store/migrations",
    "playbooks/states.py",
)


def _name(node):
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        return node.slice.value
    if isinstance(node, ast.Constant):  # the key of a dict
        return node.value
    return node.id if isinstance(node, ast.Name) else None


def _words_of(node):
    own = ROWS_OWN if isinstance(node, ast.Attribute) else {}
    name = _name(node)
    return (WORDS | own).get(name, set()) if isinstance(name, str) else set()


def _spelled(value, words):
    """The bare words an expression may yield, in lists and choices too."""
    if isinstance(value, ast.Constant):
        return [value] if isinstance(value.value, str) and value.value in words else []
    if isinstance(value, ast.Tuple | ast.List | ast.Set):
        return [found for item in value.elts for found in _spelled(item, words)]
    if isinstance(value, ast.IfExp):
        return _spelled(value.body, words) + _spelled(value.orelse, words)
    if isinstance(value, ast.Call) and _name(value.func) in ("frozenset", "words"):
        return [found for item in value.args for found in _spelled(item, words)]
    return []


def _pairs(node):
    """The pairs of a node: target or compared expression, and value."""
    if isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        return [(one, other) for one in sides for other in sides if one is not other]
    if isinstance(node, ast.Dict):
        return [(key, value) for key, value in zip(node.keys, node.values, strict=True) if key is not None]
    if isinstance(node, ast.Assign):
        return [pair for target in node.targets for pair in _assigned(target, node.value)]
    if isinstance(node, ast.AnnAssign) and node.value is not None:
        return [(node.target, node.value)]
    if isinstance(node, ast.keyword) and node.arg is not None:
        return [(ast.Name(node.arg), node.value)]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("in_", "not_in"):
        return [(node.func.value, value) for value in node.args]
    if isinstance(node, ast.Call) and _name(node.func) in ENTERING:
        return [(ast.Name("status"), value) for value in node.args]
    return []


def _assigned(target, value):
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        return list(zip(target.elts, value.elts, strict=False))
    return [(target, value)]


def bare_words(parts):
    """The lines of a module, of which these are the nodes, that spell a row's word, with the word."""
    pairs = [pair for node in parts for pair in _pairs(node)]
    found = {(word.lineno, word.value) for place, value in pairs for word in _spelled(value, _words_of(place))}
    return sorted(found)


def test_no_word_of_a_row_is_spelled_where_it_is_used():
    """Product code names members of the enums: mypy finds a typo."""
    spelled = [
        f"{name}:{line} {word!r}"
        for path in SOURCES
        if not (name := str(path.relative_to(ROOT))).startswith(EXEMPT)
        for line, word in bare_words(nodes(path))
    ]
    assert not spelled


@pytest.mark.parametrize(
    "source",
    [
        "row.status == 'running'",
        "'failed' != row['status']",
        "status in ('failed', 'timeout')",
        "table.status.in_(words(('pending', 'running')))",
        "row = {'status': 'pending'}",
        "row['mode'] = 'live'",
        "status, columns = 'waiting', {}",
        "status = 'failed' if error else 'completed'",
        "End(status='failed')",
        "transition(db, row_id, 'cancelled')",
        "row.kind == 'step'",
        "mode: str = 'dry_run'",
        "dict(waiting_for='retry')",
    ],
)
def test_a_spelled_word_is_found(source):
    """The search sees words compared, assigned, passed, listed and set."""
    assert bare_words(ast.walk(ast.parse(source)))


@pytest.mark.parametrize(
    "source", ["row.status == Status.RUNNING", "kind == 'step'", "code == 'timeout'", "row.type == 'delay'"]
)
def test_what_is_no_word_of_a_row_is_left_alone(source):
    """A member, a step's type and an error's code are left alone."""
    assert not bare_words(ast.walk(ast.parse(source)))
