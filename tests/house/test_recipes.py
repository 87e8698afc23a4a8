"""A half-added executor or step type of CONTRIBUTING.md's recipes fails here."""

import ast
import re
from pathlib import Path

import pytest

from cacao.model.identity import _OURS
from cacao.writing import workflow
from gateway.configuration.provider_kinds import EXECUTORS as OF_PROVIDERS
from playbooks.checks import steps
from playbooks.definitions.actions import EXECUTORS
from playbooks.definitions.step_types import CONDITIONS, LINKS, OPTIONAL, REQUIRED, TEMPLATES, TYPES
from providers import local, registry
from tasks.dry_run import walk
from tasks.dry_run.steps import _OUTWARD
from tasks.runs.joins import _DECISIONS
from tasks.runs.step_entries import ENTRIES
from tasks.secrets import sealing
from tests.integration import test_no_outward_effect
from tests.support import random_playbooks, reference
from tests.unit import test_bounds

ROOT = Path(__file__).parents[2]
PACKAGES = ("cacao", "playbooks", "providers", "store", "tasks", "tests")
#: step types that contain others; their dry run is in `tasks.dry_run.walk`
_CONTAINERS = set(_DECISIONS)
#: members of steps that hold no template
_LITERAL = {"action_ref", "playbook_ref", "cases", "branches", "steps", "as", "seconds", "retry", "max_iterations"}
_LITERAL |= {"delay_seconds", "interval_seconds", "timeout_seconds", "max_concurrency"}
_LITERAL |= {"approvers", "audience", "not_by_starter", "quorum", "reject_quorum", "notify", "reminder_seconds"}
#: executors that start something of an upper layer, and call nothing themselves
_STARTING = {"action", "playbook"}
#: step types that wait for a person, which the reference interpreter has none of
_ASKING = {"approval"}


@pytest.mark.parametrize("name", EXECUTORS)
def test_an_executor_is_complete(name: str) -> None:
    """An executor has its module's four names, a page, and test configs."""
    assert name in registry._MODULES, f"add {name} to _MODULES in providers/registry.py"
    path = f"{registry._MODULES[name].replace('.', '/')}.py"
    assert (ROOT / path).is_file(), f"write {path}: providers/webhook.py is an example"
    module = registry.executor(name)
    missing = [one for one in ("SECRETS", "check", "plan", "perform") if not hasattr(module, one)]
    assert not missing, f"{module.__name__} lacks {missing}: see Executor in providers/base.py"
    assert f"\n| `{name}` |" in (ROOT / "docs/actions.md").read_text(), f"docs/actions.md has no row for `{name}`"
    bounded = {executor for executor, _ in test_bounds._CONFIGS}
    assert name in bounded, f"add a config of {name} to _CONFIGS in tests/unit/test_bounds.py"
    shown = {executor for executor, _ in test_no_outward_effect._configs(1).values()}
    assert name in {*shown, "opservant"}, f"add {name} to _configs in tests/integration/test_no_outward_effect.py"
    configs = [config for executor, config in test_no_outward_effect._configs(1).values() if executor == name]
    bound = all(config.keys() & set(sealing._PLACES) for config in configs)
    assert bound or name not in _OUTWARD or not module.SECRETS, (
        f"the secrets of {name} are bound to no destination: add its key to _PLACES in tasks/secrets/sealing.py"
    )


def test_every_executor_may_be_named() -> None:
    """Those that have a module are those that an action or a provider may name, and that call something."""
    odd = {*EXECUTORS, *OF_PROVIDERS} - _STARTING ^ registry._MODULES.keys()
    assert not odd, f"only one of _MODULES in providers/registry.py and EXECUTORS in definitions/actions.py has {odd}"
    assert set(EXECUTORS) >= _OUTWARD


@pytest.mark.parametrize("name", TYPES)
def test_a_step_type_is_complete(name: str) -> None:
    """A step type is entered, dry-run, exported, imported, documented and tested."""
    assert name in ENTRIES, f"add {name} to ENTRIES in tasks/runs/step_entries.py"
    assert name in {*walk._SIMULATIONS, *_CONTAINERS}, f"add {name} to _SIMULATIONS in tasks/dry_run/walk.py"
    assert name in workflow.KINDS, f"add {name} to KINDS in cacao/writing/workflow.py, and a method _{name}"
    assert hasattr(workflow._WorkflowWriter, f"_{name}"), (
        f"cacao/writing/workflow.py writes no step of type {name}: _{name}"
    )
    kind = workflow.KINDS[name]
    assert name in _OURS[kind], f"add {name} to {kind!r} in _OURS of cacao/model/identity.py"
    assert f"\n### {name}\n" in (ROOT / "docs/playbooks.md").read_text(), f"docs/playbooks.md has no section {name}"
    if name not in _ASKING:
        assert hasattr(reference.Reference, f"do_{name}"), f"tests/support/reference.py does not know {name}"
        text = Path(random_playbooks.__file__).read_text()
        assert f'"{name}"' in text, f"tests/support/random_playbooks.py draws no {name}"


def test_a_member_says_whether_it_holds_a_template() -> None:
    """Each member is a template, a condition, a link or literal; required ones say their purpose."""
    members = {member for of in (REQUIRED, OPTIONAL) for some in of.values() for member in some}
    read = {*TEMPLATES, *CONDITIONS}
    assert read <= members | {"when"}
    assert members - read - LINKS.keys() == _LITERAL, (
        "does the new member hold a template? Then name it in TEMPLATES of playbooks/definitions/step_types.py: "
        "else its faults are not found, and the steps that it reads are not loaded. If not, name it in _LITERAL here"
    )
    ruled = {*steps._RULES, *LINKS, "steps", "outputs"}  # the last two have functions of their own
    assert members <= ruled, "say in _RULES of playbooks/checks/steps.py what the new member may be"
    needed = {member for some in REQUIRED.values() for member in some}
    assert needed <= steps._NEEDS.keys(), "say in _NEEDS of playbooks/checks/steps.py what the new member is for"


def test_a_function_in_the_sandbox_finds_what_it_imports() -> None:
    """The sandbox has every module of ours that the runner's modules import."""
    laid = set(local._RUNNER)
    for name in sorted(laid):
        for node in ast.parse((ROOT / name).read_text()).body:
            if not isinstance(node, ast.ImportFrom) or node.module is None:
                continue
            for base in (node.module, *(f"{node.module}.{one.name}" for one in node.names)):
                path = f"{base.replace('.', '/')}.py"
                if (ROOT / path).is_file():
                    assert path in laid, f"{name} imports {base}: add {path} to _RUNNER in providers/local.py"


def test_a_recipe_names_what_is_there() -> None:
    """The code has each table and function in CONTRIBUTING.md's backticks."""
    page = (ROOT / "CONTRIBUTING.md").read_text()
    recipes = page[page.index("## Recipes") : page.index("## Rules of the code")]
    named = set(re.findall(r"`(_[a-z_]+|_?[A-Z][A-Z_]{3,})`", recipes)) - {"_TYPE"}
    assert len(named) > 15
    code = "\n".join(path.read_text() for folder in (*PACKAGES, "sdk/tocsin") for path in (ROOT / folder).rglob("*.py"))
    assert not {name for name in named if not re.search(rf"\b{name}\b", code)}
