"""The command line of the bench."""

import argparse
from pathlib import Path

import measure
from processes import ROOT
from sides import SIDES, USUAL
from stages import STAGES, USUAL_WORK

WORK = {work for stage in STAGES for work in stage.work}
WORDS = {*SIDES, "tocsin", *WORK}


def words(text: str) -> set[str]:
    """The value of ``--only``."""
    chosen = set(text.split(","))
    if not chosen <= WORDS:
        raise argparse.ArgumentTypeError(f"some of {', '.join(sorted(WORDS))}")
    return chosen


def arguments(description: str) -> argparse.Namespace:
    """Parse the options; ``sides`` and ``work`` resolve ``--only`` and ``--all``."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--only", type=words, default=set(), help=f"sides and work, separated by commas: {', '.join(sorted(WORDS))}")
    add("--all", action="store_true", help="every side and every work that --only does not narrow down")
    add("--quick", action="store_true", help="one short round, no deep queue unless asked for; the figures mean little")
    add("--rounds", type=int, default=3)
    add("--seconds", type=float, default=4, help="length of a burst")
    add("--idle", type=int, default=100, help="triggers for the idle latency")
    add("--runs", type=int, default=500, help="runs of the burst of sequences")
    add("--joins", type=int, default=50, help="runs of the fan")
    add("--deep", type=int, default=100_000, help="size of the deep queue")
    add("--deep-rounds", type=int, default=1)
    add("--window", type=float, default=30, help="seconds for which a deep queue is watched")
    add("--chain-steps", type=int, default=2500, help="steps done with each length of chain")
    add("--flight", type=int, default=1000, help="runs in flight")
    add("--slow-seconds", type=float, default=10, help="seconds for which slow calls are counted")
    add("--history", type=int, default=1_000_000, help="executions of the long history of reads")
    add("--trail", type=int, default=200_000, help="rows of the audit trail that are sealed and checked")
    add("--minutes", type=float, default=10, help="length of the soak")
    add("--flower", action="store_true", help="run Tocsin with Flower, which costs speed and memory")
    add("--profile", choices=["web", "workers"], help="py-spy on this part during each burst")
    add("--output", type=Path, default=ROOT / "var" / "bench")
    add("--publish", action="store_true", help="put the results into docs/performance.md, with pictures")
    options = parser.parse_args()
    if options.deep < 2 * measure.LEAD:
        parser.error(f"--deep is at least {2 * measure.LEAD}")
    if options.quick:
        shorten(options)
    choose(options)
    return options


def shorten(options: argparse.Namespace) -> None:
    """``--quick``: enough to see that everything works."""
    most = {"rounds": 1, "deep_rounds": 1, "seconds": 2, "idle": 30, "runs": 150, "joins": 10, "deep": 5_000}
    most |= {"window": 5, "chain_steps": 500, "flight": 200, "slow_seconds": 3, "minutes": 0.15}
    most |= {"history": 50_000, "trail": 20_000}
    for name, value in most.items():
        setattr(options, name, min(getattr(options, name), value))


def choose(options: argparse.Namespace) -> None:
    """Set ``sides`` and ``work``."""
    sides, work = options.only & set(SIDES), options.only & WORK
    if "tocsin" in options.only:
        sides |= {"sqlite", "postgres"}
    options.sides = sides or set(SIDES if options.all else USUAL)
    usual = {"w1", "w2", "w3"} if options.quick else set(USUAL_WORK)
    options.work = work or (set(WORK) if options.all else usual)
