"""Measures who catches what and writes docs/regressions.md: `python -m tests.gating.regressions.table`.

On a machine that does nothing else; about half an hour.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.gating.regressions.copies import copy_package
from tests.gating.regressions.judges import Judges
from tests.gating.regressions.listing import Regression, regressions
from tests.gating.regressions.page import Seen, page
from tests.trial.plans import ROOT
from vlbench.record.fingerprint import take_fingerprint


def measure(folder: Path, listed: list[Regression], untouched: int, budget: float) -> list[Seen]:
    """What the judges say of each regression, and of as many copies that nobody touches."""
    copies = {each.slug: each for each in listed} | {f"untouched_{number}": None for number in range(untouched)}
    for name in copies:
        copy_package(folder, name)
    judges = Judges(folder, list(copies))
    _tell("storing what they do before")
    judges.store(budget)
    for name, regression in copies.items():
        if regression:
            regression.apply(folder / name)
    _tell("vlbench gate")
    rows = judges.gate()
    seen = []
    for name, regression in copies.items():
        _tell(f"pytest-benchmark {name}")
        own = tuple(row for row in rows if f" {name}.served:" in f" {row.cell}")
        seen.append(Seen(regression, own, judges.benchmark(name)))
    return seen


def main() -> None:
    """Read the options, measure, write the page."""
    parser = argparse.ArgumentParser(description="Measure who catches what, and write docs/regressions.md.")
    slugs = [each.slug for each in regressions()]
    parser.add_argument("--only", nargs="+", default=slugs, choices=slugs, metavar="SLUG", help="what to measure")
    parser.add_argument("--untouched", type=int, default=5, help="copies that nobody touches")
    parser.add_argument("--budget", type=float, default=220, help="seconds of rounds, for each of the two runs")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "regressions.md")
    options = parser.parse_args()
    listed = [each for each in regressions() if each.slug in options.only]
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        seen = measure(Path(folder), listed, options.untouched, options.budget)
    minutes = (time.perf_counter() - start) / 60
    command = " ".join(["python -m tests.gating.regressions.table", *sys.argv[1:]])
    options.out.write_text(page(seen, command, take_fingerprint("cpu").line, minutes))
    _tell(f"{options.out}: written after {minutes:.0f} minutes")


def _tell(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
