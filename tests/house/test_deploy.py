"""What ``deploy/`` holds is true of this product, and passes the tools that will read it."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from api import prometheus, trail_health
from tests.support.services import missing

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
RULES = DEPLOY / "prometheus/rules.yaml"
UNITS = sorted((DEPLOY / "systemd").iterdir())
STATE = {
    "executions": {"pending": 1},
    "workers": {"consuming": 1},
    "backlog": 1,
    "oldest_overdue_seconds": 0.0,
    "queues": {"steps": {"messages": 1, "oldest_seconds": 0.0}},
    "audit_trail": trail_health.EXAMPLE,
}


def tool(name: str) -> str:
    """The path of a program, next to this Python or on PATH; without it the test is skipped, in CI it fails."""
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    return found or missing(f"{name} is not installed")


def run(*words: object, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; it has to find nothing wrong."""
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, cwd=cwd, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def rules() -> list[dict]:
    """The alert rules."""
    return yaml.safe_load(RULES.read_text())["groups"][0]["rules"]


def queries() -> list[str]:
    """Every query of the dashboard, with its variables filled in."""
    panels = json.loads((DEPLOY / "grafana/tocsin.json").read_text())["panels"]
    found = [target["expr"] for panel in panels for target in panel["targets"]]
    variables = {"$job": "tocsin", "$kind": ".*", "$__rate_interval": "5m"}
    for name, value in variables.items():
        found = [query.replace(name, value) for query in found]
    return found


def shown() -> set[str]:
    """The names of all samples that Tocsin shows, of histograms too, and ``up``."""
    text = prometheus.exposition("ok", STATE).decode()
    kinds = dict(re.findall(r"# TYPE (\w+) (\w+)", text))
    return {"up", *kinds} | {f"{name}_bucket" for name, kind in kinds.items() if kind == "histogram"}


def supervised(text: str) -> list[str]:
    """The names of the workers that a file starts."""
    lines = re.findall(r"(?:worker\.supervisor|deploy/role, workers,) ?([a-z0-9, ]+)", text)
    return [name for line in lines for name in re.split(r"[, ]+", line.strip())]


def test_rules_and_dashboard_ask_for_numbers_that_there_are() -> None:
    """A query for a name that nothing shows never fires and draws nothing."""
    every = " ".join([*queries(), *(rule["expr"] for rule in rules())])
    asked = set(re.findall(r"\btocsin_\w+|\bup\b", every))
    assert asked <= shown()
    assert len(asked) > 12


def test_each_alert_says_what_to_do_here_and_in_the_handbook() -> None:
    """Eleven alerts, each with a row in docs/operations.md."""
    handbook = (ROOT / "docs/operations.md").read_text()
    assert len(rules()) == 11
    assert not [rule["alert"] for rule in rules() if f"| `{rule['alert']}` |" not in handbook]
    assert all({"summary", "action"} <= rule["annotations"].keys() for rule in rules())


@pytest.mark.parametrize("places", [[DEPLOY / "compose.yaml"], UNITS], ids=["compose", "systemd"])
def test_the_workers_of_the_procfile_are_started(places: list[Path]) -> None:
    """Each by exactly one service."""
    line = next(line for line in (ROOT / "Procfile").read_text().splitlines() if line.startswith("workers:"))
    started = supervised("\n".join(path.read_text() for path in places))
    assert sorted(started) == sorted(line.partition("worker.supervisor ")[2].split())


def test_the_image_leaves_out_what_is_secret() -> None:
    """Docker and Podman read two names for one list."""
    left_out = (ROOT / ".containerignore").read_text()
    assert (ROOT / ".dockerignore").read_text() == left_out
    assert {".env", "var", ".git", "deploy/compose.env", "deploy/postgres.password"} <= set(left_out.splitlines())


def test_the_role_of_a_container_is_a_line_of_the_procfile(tmp_path: Path) -> None:
    """An unknown one is refused with the name."""
    refused = subprocess.run([DEPLOY / "role", "nothing"], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert refused.returncode != 0
    assert "the Procfile has no line nothing" in refused.stderr


@pytest.mark.wide
def test_the_containerfile_passes_hadolint() -> None:
    """No warning, however small."""
    assert not run(tool("hadolint"), "--failure-threshold", "style", DEPLOY / "Containerfile").stdout


@pytest.mark.wide
def test_the_compose_file_follows_the_published_schema() -> None:
    """As check-jsonschema brings it."""
    done = run(tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", DEPLOY / "compose.yaml")
    assert "ok" in done.stdout


@pytest.mark.wide
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    """``systemd-analyze verify`` has nothing to say, but that an old systemd does not know a setting of 254."""
    analyze = tool("systemd-analyze")
    for unit in UNITS:
        text = unit.read_text().replace("/opt/tocsin/.venv", sys.prefix).replace("/opt/tocsin", str(ROOT))
        (tmp_path / unit.name).write_text(text)
    done = run(analyze, "verify", *(tmp_path / unit.name for unit in UNITS))
    assert not [line for line in done.stderr.splitlines() if "'DelegateSubgroup'" not in line and str(tmp_path) in line]


@pytest.mark.wide
def test_promtool_takes_rules_and_queries(tmp_path: Path) -> None:
    """The rules pass their own tests, and each query of the dashboard parses."""
    promtool = tool("promtool")
    run(promtool, "check", "rules", RULES)
    assert "SUCCESS" in run(promtool, "test", "rules", "rules.test.yaml", cwd=RULES.parent).stdout
    recorded = [{"record": f"query_{number}", "expr": query} for number, query in enumerate(queries())]
    (tmp_path / "queries.yaml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": recorded}]}))
    run(promtool, "check", "rules", tmp_path / "queries.yaml")
