"""What the bench makes of its numbers: tables, the page and its pictures, from a recorded result and no measuring."""

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

BENCH = Path(__file__).parents[1] / "bench"
MARKERS = "<!-- results: begin (written by make bench ARGS=--publish) -->\nstale\n<!-- results: end -->"


def _samples(growth):
    return [
        {
            "at": 60.0 * n,
            "runs": 100 * n,
            "processes": {"web": {"Pss": 50.0 + growth * n, "Rss": 60.0}, "web.1": {"Pss": 30.0, "Rss": 40.0}},
        }
        for n in range(5)
    ]


@pytest.fixture
def results(tmp_path):
    """A result file of two rounds: the product does 2x and 4x of what raw Celery does, and uses 0.7x and 0.9x."""
    raw = {"w1_runs_per_s": 100.0, "pss_mib": 200.0, "depth_ratio": 1.0}
    chains = {f"chain_{kind}_ms_{n}": 4.0 for kind in ("cpu", "alone_wall") for n in (5, 50, 500)}
    rounds = [
        {
            "raw Celery": raw | chains,
            "Tocsin SQLite": {"w1_runs_per_s": 100.0 * times, "pss_mib": 200.0 * memory, "depth_ratio": 0.5}
            | chains
            | {"soak_errors": 0, "soak_samples": _samples(1.0)},
            "raw Celery on RabbitMQ": {"w1_runs_per_s": 10.0},
            "Tocsin SQLite on RabbitMQ": {"w1_runs_per_s": 70.0},
        }
        for times, memory in ((2, 0.7), (4, 0.9))
    ]
    machine = {"cpu": "Testium", "cores": 2, "memory_mib": 2048, "kernel": "6.1.0-x", "python": "3.11.7"}
    path = tmp_path / "results.json"
    path.write_text(json.dumps({"at": "2026-01-02T03:04:05", "machine": machine, "versions": {}, "rounds": rounds}))
    return path


def _report(*words):
    command = [sys.executable, str(BENCH / "report.py"), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def _row(text, label):
    return [
        cell.strip() for cell in next(line for line in text.splitlines() if line.startswith(f"| {label} ")).split("|")
    ]


def test_ratios_are_taken_within_a_round_and_judged(results):
    """Median, range and median ratio stand in a cell; the report names missed bounds and reached aims."""
    printed = _report(results).stdout
    kept, memory, missed = (_row(printed, label) for label in ("W1 completed runs/s", "idle memory (PSS), MiB", "deep"))
    assert kept[3] == "300 (200–400) **3.00×**"  # noqa: RUF001 - as printed
    assert kept[-2] == "missed: Tocsin SQLite"
    assert "**0.80×**" in memory[3]  # noqa: RUF001 - as printed
    assert missed[-2].startswith("missed: Tocsin SQLite")


def test_rabbitmq_has_a_floor_of_its_own(results):
    """What runs on RabbitMQ is compared with raw Celery on RabbitMQ, in a table of its own."""
    _, _, on_rabbit = _report(results).stdout.partition("### Calls, runs and queues on RabbitMQ")
    assert "**7.00×**" in _row(on_rabbit, "W1 completed runs/s")[3]  # noqa: RUF001 - as printed


def test_publishing_rewrites_what_is_between_the_markers_and_draws_the_pictures(results, tmp_path):
    """The page keeps its own text; every picture is well-formed and linked; several files are put together."""
    page = tmp_path / "performance.md"
    page.write_text(f"before\n{MARKERS}\nafter\n")
    done = _report(results, results, "--publish", "--docs", tmp_path)
    assert done.returncode == 0, done.stderr
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "stale" not in text
    assert "Testium" in text
    for name in ("ratios", "steps", "soak"):
        assert f"](performance/{name}.svg)" in text
        drawn = ET.parse(tmp_path / "performance" / f"{name}.svg").getroot()
        assert [part for part in drawn.iter() if part.tag.endswith("text") and part.text]


def test_a_page_without_markers_is_left_alone(results, tmp_path):
    """A page without the two markers is not overwritten: publishing fails and names what is missing."""
    page = tmp_path / "performance.md"
    page.write_text("mine\n")
    done = _report(results, "--publish", "--docs", tmp_path)
    assert done.returncode != 0
    assert "results: begin" in done.stderr
    assert page.read_text() == "mine\n"


def test_the_page_of_the_project_has_its_markers():
    """docs/performance.md can be published into."""
    text = (BENCH.parents[1] / "docs" / "performance.md").read_text()
    assert text.count("<!-- results: begin") == text.count("<!-- results: end -->") == 1
