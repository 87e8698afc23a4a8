"""``report.py RESULTS.json...`` prints the tables of results again, without measuring.

With ``--publish`` the part of docs/performance.md between the two markers is regenerated, and the pictures in
docs/performance/. Several files are put together as if their rounds had been measured in one go.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import charts
import tables

DOCS = Path(__file__).resolve().parents[2] / "docs"
BEGIN, END = "<!-- results: begin (written by make bench ARGS=--publish) -->", "<!-- results: end -->"


def load(paths: Sequence[Path]) -> dict:
    """Several result files combined: all rounds, the rest of the last."""
    contents = [json.loads(path.read_text()) for path in paths]
    return contents[-1] | {"rounds": [found for content in contents for found in content["rounds"]]}


def publish(paths: Sequence[Path], docs: Path = DOCS) -> None:
    """Write the results into the page and draw the pictures.

    Raises ``ValueError`` when the page has no markers.
    """
    page = docs / "performance.md"
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} does not hold {BEGIN} and {END}")
    results = load(paths)
    pictures = docs / "performance"
    pictures.mkdir(exist_ok=True)
    links = []
    for chart in charts.CHARTS:
        drawn = chart.draw(results["rounds"])
        if drawn:
            (pictures / chart.file).write_text(drawn)
            links.append(f"![{chart.alt}](performance/{chart.file})")
    parts = [described(results), *links, tables.tables(results["rounds"])]
    page.write_text(before + BEGIN + "\n\n" + "\n\n".join(parts) + "\n\n" + END + after)


def described(results: dict) -> str:
    """When and on what the results were measured."""
    machine, versions = results["machine"], results["versions"]
    known = ", ".join(f"{name} {number}" for name, number in versions.items())
    return (
        f"Measured {results['at'][:10]} on {machine['cores']} cores ({machine['cpu']}), "
        f"{machine['memory_mib'] / 1024:.0f} GiB, Linux {machine['kernel'].partition('-')[0]}, "
        f"Python {machine['python']}; {known}. "
        "Median of the rounds, range in parentheses, the ratio to raw Celery in bold."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="+", help="files that the bench has written (var/bench/*.json)")
    parser.add_argument("--publish", action="store_true", help="into docs/performance.md and docs/performance/")
    parser.add_argument("--docs", type=Path, default=DOCS, help="another folder to publish into")
    options = parser.parse_args()
    print(tables.tables(load(options.results)["rounds"]))
    if options.publish:
        publish(options.results, options.docs)


if __name__ == "__main__":
    main()
