"""`vlbench self-test`: the false alarms of this harness here, and what it catches."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from vlbench.cli.options import (
    RESULTS,
    CommandOptions,
    DeviceName,
    Force,
    Seed,
    Threads,
    Timeout,
    command_line,
    or_interrupted,
)
from vlbench.cli.reporting import reports
from vlbench.errors import UsageError
from vlbench.export.sheet import Sheet

if TYPE_CHECKING:
    from vlbench.matrix.plan import Plan
    from vlbench.record.schema import Results
    from vlbench.selftest.copies import Design
    from vlbench.selftest.other_rules import Score
    from vlbench.selftest.verdicts import Report


class Options(CommandOptions):
    """The options of `vlbench self-test`."""

    UNREAD: ClassVar = {"earlier": "quick seed threads device timeout resume out"}
    READ: ClassVar = {"earlier": RESULTS}

    quick: bool = False
    """Two groups and short trials: a look of three minutes."""
    seed: Seed = 0
    threads: Threads = 1
    device: DeviceName = "auto"
    timeout: Timeout = 300
    resume: bool = False
    """Go on with the self-test that was interrupted."""
    out: Path | None = None
    """Results file, with every sample. [vlbench-self-test.json, or -2, -3 ... where that is there]"""
    force: Force = False
    earlier: Annotated[Path | None, typer.Option("--from")] = None
    """Measure nothing: report on the results file of an earlier self-test."""
    rules: Annotated[bool, typer.Option("--compare-rules")] = False
    """Also judge the samples by the rules of other tools."""


@reports()
def self_test(options: Options) -> Sheet:
    """Compare identical programs, and catch injected slow-downs, through the path of any measurement.

    Takes about 20 minutes on two quiet cores; measure alone on the machine, as you would measure anything. On a GPU
    slow-downs are put on its stream, and in one shape on the host.
    Copies of the reference tower are the identical programs. Ends with 0 where none of them is called different and
    95 % of slow-downs by 3 % are caught, else with 3; 5 or 6 where some could not be compared.

    - `vlbench self-test --quick`
    - `vlbench self-test --from vlbench-self-test.json --compare-rules`
    """
    from vlbench.record.destinations import check_results_file, free_output

    if options.out and not options.earlier:
        check_results_file(options.out, resume=options.resume, force=options.force)  # before torch is imported
    from vlbench.export.self_test import markdown, self_test_sheet
    from vlbench.selftest.other_rules import scores
    from vlbench.selftest.verdicts import report

    out = options.out or free_output("vlbench-self-test", resume=options.resume)
    results, interrupted = (_read(options.earlier), False) if options.earlier else _measure(options, out)
    found = report(results.groups)
    scored = scores(results.groups) if options.rules else []
    sheet = self_test_sheet(
        found,
        scored,
        results.fingerprint.line,
        json=lambda: as_object(found, scored),
        markdown=lambda: markdown(results, found, scored or scores(results.groups)),
    )
    return or_interrupted(sheet, interrupted, out)


def plans_of(design: Design, seed: int, threads: int) -> list[Plan]:
    """A plan per group, each with weights and inputs of its own."""
    from vlbench.matrix.plan import Plan

    return [
        Plan(point, design.model, "float32", design.device, design.variants, seed + number, threads, stages=False)
        for number, point in enumerate(design.points)
    ]


def as_object(found: Report, scored: list[Score]) -> str:
    """The report as one JSON object."""
    tallies = [
        {name: getattr(tally, name) for name in ("slow_down", "cases", "hits", "measured", "verdicts")}
        | {"bounds": tally.bounds if tally.cases else None}
        for tally in found.tallies
    ]
    first = ("groups", "groups_with_false_alarm", "first_vote_false_alarms", "smallest_caught", "visible")
    whole = {name: getattr(found, name) for name in first}
    whole |= {"tallies": tallies, "rules": [asdict(score) for score in scored], "met": found.met}
    return json.dumps(whole | {"exit_code": int(found.exit_code)}, indent=1)


def _measure(options: Options, out: Path) -> tuple[Results, bool]:
    from vlbench.api.measuring import Effort, measure
    from vlbench.selftest.copies import designs
    from vlbench.towers.models import find_device

    made, first = designs(find_device(options.device), quick=options.quick), 0
    plans: list[Plan] = []
    for design in made:
        plans += plans_of(design, options.seed + first, options.threads)
        first += design.groups
    # Half of it is set aside for measuring suspects again.
    rounds = 2 * len(plans) * design.trials * design.seconds
    effort = Effort(
        design.trials, timeout=options.timeout, out=out, resume=options.resume, force=options.force, rounds=rounds
    )
    results, interrupted = measure(plans, effort, command_line())
    print(f"{results.fingerprint.line}\nevery sample in {out}", file=sys.stderr)
    return results, interrupted


def _read(path: Path) -> Results:
    from vlbench.record.files import read_results
    from vlbench.selftest.copies import FULL

    results = read_results(path)
    known = {point.scenario for design in FULL for point in design.points}
    if not results.groups or any(group.scenario not in known for group in results.groups):
        raise UsageError(f"--from {path}: not the results of a self-test; write one with `vlbench self-test`")
    return results
