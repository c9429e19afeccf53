"""What can be compared of a file: its times and its counts, whatever it is."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from vlbench.comparing.captured import captured_cell
from vlbench.comparing.counted_cells import GRID, count_result
from vlbench.comparing.counted_moves import Advice
from vlbench.comparing.timed_cells import cell_of
from vlbench.counting.job import Point
from vlbench.errors import UsageError
from vlbench.judging.summary import trials_of, why_inaccurate, why_untimed, worst_accuracy
from vlbench.judging.words import number_of
from vlbench.record.base import Grid, fitting, twice_in
from vlbench.record.baseline import Baseline, CapturedCell, CountedCell, TimedCell
from vlbench.record.baseline_files import is_baseline, load_baseline, read_baseline
from vlbench.record.counted import CountReport
from vlbench.record.files import read_results, why_unsealed
from vlbench.record.fingerprint import Fingerprint
from vlbench.record.printed import check_not_printed
from vlbench.record.schema import CellGroup, Dtype, Results, Row, State
from vlbench.untrusted.files import Kind, NotThisFormatError, read_json
from vlbench.untrusted.limits import Limit

COUNTS = Kind("count again with `vlbench count --json`", ours=True)
OURS = Kind("give results, a baseline or a count", values=Limit.FOREIGN_VALUES)
CAPTURES = (".sqlite", ".nsys-rep", ".qdrep", ".qdstrm", ".gz")
"""Suffixes of captures."""
HEAD = 1 << 16
"""Bytes of a JSON file in which a torch profiler trace says what it is."""
KINDS = ("counted", "captured", "timed")
"""Of cells, in the order in which they are shown."""
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
class Contents:
    """What a file holds."""

    source: str
    words: str
    """The file, and where its figures come from."""
    fingerprint: Fingerprint | None = None
    """Of the times; None where it holds none."""
    timed: dict[Key, TimedCell | Failed] = field(default_factory=dict)
    counted: dict[Key, CountedCell | Failed] = field(default_factory=dict)
    captured: dict[Key, CapturedCell] = field(default_factory=dict)
    unsealed: str = ""
    """Of results: why their figures cannot be told from edited ones; they have no say then."""
    kinds: tuple[str, ...] = KINDS
    """Of cells that such a file can hold."""
    advice: dict[Key, Advice] = field(default_factory=dict)
    """What removes the lines of what was counted, where that is known."""

    @property
    def listed(self) -> str:
        """Such as "2 timed cells (qwen2-vl-tiny best single-image float32, ...)"."""
        kinds: dict[str, list[Cell]] = {
            "timed": [*self.timed.values()],
            "counted": [*self.counted.values()],
            "captured": [*self.captured.values()],
        }
        parts = [
            f"{number_of(len(cells), f'{kind} cell')} ({cells[0].name}{', ...' * (len(cells) > 1)})"
            for kind, cells in kinds.items()
            if cells
        ]
        return " and ".join(parts) or "nothing"


Source = str | Path | Results | Baseline | CountReport | Contents
"""What `compare` takes as a side."""


def is_capture(source: Source) -> bool:
    """Is it the path of a capture? A torch profiler trace is told by its content, the others by their suffix."""
    if not isinstance(source, str | Path) or not (path := Path(source)).is_file():
        return False
    try:
        with path.open("rb") as file:
            return path.suffix in CAPTURES or b'"traceEvents"' in file.read(HEAD)
    except OSError as error:
        raise UsageError(OURS.say(OURS.unreadable, path, error.strerror)) from None


def contents_of(source: Source) -> Contents | None:
    """What was measured, or what a file of ours holds of it; None for the path of any other file.

    Raises UsageError where it is one of them and broken, or of another version, and IncomparableError for a baseline
    that was edited since it was accepted. It need not be accepted: what the gate proposes can be looked at, too.
    """
    match source:
        case Contents():
            return source
        case Results():
            return _of_results("the results", source)
        case Baseline():
            return _of_baseline(f"the baseline {source.name}", source)
        case CountReport():
            return of_report("the counts", source)
    path = str(source)
    if is_capture(source):
        cell = captured_cell(Path(source))
        return Contents(
            path, f"{path} (captured by {cell.version})", captured={(cell.name,): cell}, kinds=("captured",)
        )
    content = _content(Path(path))
    match record_in(Path(path), content):
        case Baseline() as baseline:
            fit = baseline.intact or not is_baseline(path)
            return _of_baseline(path, baseline if fit else read_baseline(Path(path)))
        case Results() as results:
            return _of_results(path, results)
        case CountReport() as report:
            return of_report(path, report)
    check_not_printed(path, content)
    return None


def record_in(path: Path, content: Mapping[str, object]) -> Results | Baseline | CountReport | None:
    """What a file with this object in it holds of ours that can be compared, None where it is something else.

    Raises UsageError where it is one of them and broken, or of another version.
    """
    if content.get("kind") == "baseline":
        return load_baseline(path)
    if {"groups", "fingerprint"} <= content.keys():
        return read_results(path)
    if {"groups", "region"} <= content.keys():
        check_not_printed(path, content)
    return read_report(path) if {"groups", "profile"} <= content.keys() else None


def _content(path: Path) -> dict[str, object]:
    """The object in a JSON file; empty for any other file."""
    if not path.exists() or path.is_dir():
        return {}  # it may be a pattern
    try:
        content = read_json(path, OURS)
    except NotThisFormatError:
        return {}
    return content if isinstance(content, dict) else {}


def _of_baseline(source: str, found: Baseline) -> Contents:
    last = f"{found.accepted[-1].what} on {found.accepted[-1].date:%Y-%m-%d}" if found.accepted else "never accepted"
    return Contents(
        source,
        f"{source} (baseline, {last})",
        found.fingerprint,
        {_timed_key(cell): cell for cell in found.timed},
        {_counted_key(cell): cell for cell in found.counted},
        {(cell.name,): cell for cell in found.captured},
    )


def _of_results(source: str, results: Results) -> Contents:
    cells = [pair for group in results.groups for pair in _timed(group)]
    if twice := twice_in(key for key, _ in cells):
        raise UsageError(f"{source}: {' '.join(filter(None, map(str, twice[0])))} is there twice; keep one")
    words, reason = f"{source} (measured on {results.created:%Y-%m-%d})", why_unsealed(results)
    return Contents(source, words, results.fingerprint, dict(cells), unsealed=reason, kinds=("timed",))


def _timed(group: CellGroup) -> Iterator[tuple[Key, TimedCell | Failed]]:
    """Every variant in every state; the reference tower, which all are held against, has no cell."""
    for row in group.rows[1:]:
        for state in group.states or ["warm"]:
            cell = cell_of(group, row, state, group.scenario)
            yield (*group.key, row.name, state), cell or _failed(group, row, state)


def _failed(group: CellGroup, row: Row, state: State) -> Failed:
    parts = (group.model, row.name, group.scenario, group.point, group.dtype, "" if state == "warm" else state)
    name = " ".join(filter(None, parts))
    if wrong := why_inaccurate(worst_accuracy(trials_of(group, row.name))):
        return Failed(name, True, wrong)
    return Failed(name, False, why_untimed(group, row.name, "it was not measured"))


def _timed_key(cell: TimedCell) -> Key:
    return (_stem(cell.scenario), cell.point, cell.model, cell.dtype, cell.device, cell.variant, cell.state)


def _counted_key(cell: CountedCell) -> Key:
    return _key(cell.tower, cell.scenario, cell.point, cell.grids, cell.dtype, cell.profile)


def _key(tower: str, scenario: str, point: str, grids: tuple[Grid, ...], dtype: str, profile: str) -> Key:
    """Grids that belong to no scenario are their own point, however it was labelled."""
    return (_stem(scenario), str(grids) if scenario == GRID else point, tower, dtype, profile)


def _stem(scenario: str) -> str:
    """A baseline has a scenario of one's own by its path, results have it by its name."""
    path = Path(scenario)
    return path.stem if path.suffix in (".toml", ".jsonl") else scenario


def read_report(path: Path) -> CountReport:
    """The report of counts in `path`. Raises UsageError."""
    found = fitting(CountReport, read_json(path, COUNTS), path, COUNTS.remedy)
    if not found.intact:
        reason = "its checksum does not fit: it was edited or damaged" if found.checksum else "it has no checksum"
        raise UsageError(f"{path}: {reason}; {COUNTS.remedy}")
    return found


def of_report(source: str, report: CountReport, tower: str | None = None) -> Contents:
    """What a report counted or, of `tower` alone, under no name, so that another may stand beside it."""
    dtype = cast("Dtype", report.dtype)
    found = Contents(source, f"{source} (counted for {report.profile})", kinds=("counted",))
    for group in report.groups:
        point = Point(scenario=group.scenario, label=group.point, grids=group.grids)
        for row in group.towers:
            if tower not in (None, row.name):
                continue
            name = "" if tower else row.called
            key = _key(name, group.scenario, group.point, group.grids, dtype, report.profile)
            result = count_result(row, point, report.profile, dtype)
            if result.cell is None:
                words = " ".join(filter(None, (row.called, group.scenario, group.point, dtype, report.profile)))
                found.counted[key] = Failed(words, False, result.reason)
            else:
                found.counted[key], found.advice[key] = result.cell, result.advice
    return found
