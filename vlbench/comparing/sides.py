"""One side of a `vlbench diff`: what a file of ours holds of times and of counts, whichever kind of file it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from pydantic import ValidationError

from vlbench.comparing.counted_cells import counted_cell, why_incomplete
from vlbench.comparing.points import GRID
from vlbench.comparing.timed_cells import cell_of, states_of
from vlbench.counting.job import Point
from vlbench.errors import UsageError
from vlbench.judging.summary import worst_accuracy
from vlbench.record.baseline import CapturedCell, CountedCell, TimedCell
from vlbench.record.baseline_files import load_baseline
from vlbench.record.counted import CountReport
from vlbench.record.files import read_results
from vlbench.record.fingerprint import Fingerprint
from vlbench.record.schema import CellGroup, Dtype, Row, State
from vlbench.untrusted.files import Kind, NotThisFormatError, first_fault, read_json

OURS = Kind("give results, a baseline or a count")
Key = tuple[str, ...]
"""What two cells must share to be about the same thing."""


@dataclass(frozen=True)
class Failed:
    """A row of results without times."""

    name: str
    inaccurate: bool
    reason: str


Cell = TimedCell | CountedCell | CapturedCell | Failed


@dataclass(frozen=True)
class Side:
    """What a file holds."""

    source: str
    words: str
    """The file, and where its figures come from."""
    fingerprint: Fingerprint | None = None
    """Of the times; None where it holds none."""
    timed: dict[Key, TimedCell | Failed] = field(default_factory=dict)
    counted: dict[Key, CountedCell | Failed] = field(default_factory=dict)
    captured: dict[Key, CapturedCell] = field(default_factory=dict)

    @property
    def contents(self) -> str:
        """Such as "2 timed cells (qwen2-vl-tiny best single-image float32, ...)"."""
        kinds: dict[str, list[Cell]] = {
            "timed": [*self.timed.values()],
            "counted": [*self.counted.values()],
            "captured": [*self.captured.values()],
        }
        parts = [
            f"{len(cells)} {kind} cell{'s' * (len(cells) > 1)} ({cells[0].name}{', ...' * (len(cells) > 1)})"
            for kind, cells in kinds.items()
            if cells
        ]
        return " and ".join(parts) or "nothing"


def read_side(source: str) -> Side | None:
    """The side in a results file, a baseline file or a report of `vlbench count --json`; None for any other file.

    Raises UsageError where it is one of them and broken, or of another version. A baseline need not be accepted: what
    the gate proposes can be looked at, too.
    """
    path = Path(source)
    if not path.exists() or path.is_dir():
        return None  # it may be a pattern
    try:
        content = read_json(path, OURS)
    except NotThisFormatError:
        return None
    if not isinstance(content, dict):
        return None
    if content.get("kind") == "baseline":
        return _baseline_side(source)
    if {"groups", "fingerprint"} <= content.keys():
        return _results_side(source)
    if {"groups", "profile"} <= content.keys():
        return _report_side(source, content)
    return None


def _baseline_side(source: str) -> Side:
    found = load_baseline(Path(source))
    last = f"{found.accepted[-1].what} on {found.accepted[-1].date:%Y-%m-%d}" if found.accepted else "never accepted"
    return Side(
        source,
        f"{source} (baseline, {last})",
        found.fingerprint,
        {_timed_key(cell): cell for cell in found.timed},
        {_counted_key(cell): cell for cell in found.counted},
        {(cell.name,): cell for cell in found.captured},
    )


def _results_side(source: str) -> Side:
    results = read_results(Path(source))
    timed = {key: cell for group in results.groups for key, cell in _timed(group)}
    return Side(source, f"{source} (measured on {results.created:%Y-%m-%d})", results.fingerprint, timed)


def _timed(group: CellGroup) -> Iterator[tuple[Key, TimedCell | Failed]]:
    """Every variant in every state; the yardstick, which all are held against, has no cell."""
    for row in group.rows[1:]:
        for state in states_of(group) or ["warm"]:
            cell = cell_of(group, row, state, group.scenario)
            yield (*group.key, row.name, state), cell or _failed(group, row, state)


def _failed(group: CellGroup, row: Row, state: State) -> Failed:
    seen = [variant for trial in group.trials if (variant := trial.find(row.name))]
    accuracy = worst_accuracy(seen)
    parts = (group.model, row.name, group.scenario, group.point, group.dtype, "" if state == "warm" else state)
    name = " ".join(filter(None, parts))
    if accuracy is not None and not accuracy.passed:
        return Failed(name, True, accuracy.reason or "it failed its accuracy check")
    reasons = [variant.not_measured for variant in seen if variant.not_measured]
    return Failed(name, False, [*reasons, *group.lost, "it was not measured"][0])


def _timed_key(cell: TimedCell) -> Key:
    return (_stem(cell.scenario), cell.point, cell.model, cell.dtype, cell.device, cell.variant, cell.state)


def _counted_key(cell: CountedCell) -> Key:
    """Grids that belong to no scenario are their own point, however it was labelled."""
    point = str(cell.grids) if cell.scenario == GRID else cell.point
    return (_stem(cell.scenario), point, cell.tower, cell.dtype, cell.profile)


def _stem(scenario: str) -> str:
    """A baseline has a scenario of one's own by its path, results have it by its name."""
    path = Path(scenario)
    return path.stem if path.suffix == ".toml" else scenario


def _report_side(source: str, content: dict[str, object]) -> Side:
    try:
        report = CountReport.model_validate(content)
    except ValidationError as error:
        raise UsageError(f"{source}: {first_fault(error)}; count again with `vlbench count --json`") from None
    return Side(source, f"{source} (counted for {report.profile})", counted=dict(_counted(report)))


def _counted(report: CountReport) -> Iterator[tuple[Key, CountedCell | Failed]]:
    dtype = cast("Dtype", report.dtype)
    for group in report.groups:
        point = Point(scenario=group.scenario, label=group.point, grids=group.grids)
        for row in group.towers:
            if reason := why_incomplete(row):
                name = " ".join(filter(None, (row.tower, group.scenario, group.point, dtype, report.profile)))
                yield (
                    (_stem(group.scenario), group.point, row.tower, dtype, report.profile),
                    Failed(name, False, reason),
                )
            else:
                cell = counted_cell(row, point, report.profile, dtype)
                yield _counted_key(cell), cell
