"""What the functions of the API give back: the record, its table for pandas, and how it looks in a notebook."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from vlbench.comparing.counted_cells import counted_forward
from vlbench.judging.exit_codes import ExitCode, worst
from vlbench.judging.judged import Judged
from vlbench.judging.summary import Summary, summaries
from vlbench.judging.unpaired import RunFloors
from vlbench.judging.verdict import Floors, Verdict
from vlbench.record.baseline import Baseline, CapturedCell, CountedCell
from vlbench.record.counted import CountReport
from vlbench.record.samples import samples_of
from vlbench.record.schema import CellGroup, Results, State

if TYPE_CHECKING:
    import pandas

    from vlbench.export.sheet import Part

Rows = Sequence[Mapping[str, Any]]


class Result(ABC):
    """A result: `.record` is all of it, typed; `.table()` has a row per variant or cell; a notebook shows that."""

    @property
    @abstractmethod
    def title(self) -> str:
        """What it is, in one line."""

    @property
    @abstractmethod
    def exit_code(self) -> ExitCode:
        """What the command of the same name would end with; 0 is good."""

    @abstractmethod
    def _rows(self) -> Rows:
        """The rows of the table, which all have the same keys."""

    def table(self) -> pandas.DataFrame:
        """The result as a table. Times are seconds, sizes bytes, errors relative L2, changes ratios."""
        import pandas

        return pandas.DataFrame(list(self._rows()))

    def _repr_html_(self) -> str:
        return f"<p>{escape(self.title)}</p>{self.table().to_html(escape=True, index=False)}"

    def __repr__(self) -> str:
        return f"{self.title}\n{self.table().to_string(index=False)}"


@dataclass(frozen=True, repr=False)
class Measured(Result):
    """Variants that were checked and timed, or the results file of an earlier run."""

    record: Results
    path: Path | None = None
    """The file that holds it, if any."""
    notes: tuple[str, ...] = ()
    """What a reader has to know, one sentence each."""
    verdicts: Verdicts | None = None
    """It held against the earlier file that was named."""

    @property
    def title(self) -> str:
        state = "" if self.record.complete else ", interrupted"
        return f"{self.record.command}, {self.record.created:%Y-%m-%d %H:%M}{state}: {self.record.fingerprint.line}"

    @property
    def exit_code(self) -> ExitCode:
        """A run measures and does not gate: only inaccurate (5) and missing (6) rows are failures."""
        found = [each.judgement.verdict for group in self.record.groups for each in summaries(group, Floors())]
        failures = (Verdict.INACCURATE, Verdict.MISSING)
        return worst([verdict if verdict in failures else Verdict.SAME for verdict in found])

    def samples(self) -> pandas.DataFrame:
        """Every reading: one row per group, variant, trial, state and round; see `vlbench.record.samples.COLUMNS`."""
        return samples_of(self.record)

    def _rows(self) -> Rows:
        return [
            _group_facts(group) | {"state": state} | _measured_row(each)
            for group in self.record.groups
            for state in _states(group)
            for each in summaries(group, Floors(), state)
        ]


class Interrupted(KeyboardInterrupt):
    """Ctrl-C ended a run; `results` has what was done, and where a file was named `resume=True` goes on from there."""

    def __init__(self, results: Measured) -> None:
        super().__init__("interrupted; `results` of this exception has what is done")
        self.results = results


@dataclass(frozen=True, repr=False)
class Verified(Result):
    """Variants that were checked over batches of awkward grids."""

    record: CellGroup
    batches: tuple[str, ...]

    @property
    def title(self) -> str:
        return f"{self.record.model}, {self.record.dtype}, {self.record.device}, on {len(self.batches)} batches"

    @property
    def exit_code(self) -> ExitCode:
        passed = all(each.accuracy and each.accuracy.passed for each in self.record.trials[0].variants)
        return ExitCode.OK if passed else ExitCode.INACCURATE

    def _rows(self) -> Rows:
        found = summaries(self.record, Floors())
        kept = ("exactness", "passed", "fp32_error", "fp32_limit", "timed_error", "timed_limit", "reason")
        return [
            {"variant": each.row.name} | {name: getattr(each.accuracy, name, None) for name in kept} for each in found
        ]


@dataclass(frozen=True, repr=False)
class Counted(Result):
    """What towers ask of a GPU, counted without one."""

    record: CountReport

    @property
    def title(self) -> str:
        return f"counted as {self.record.profile}, {self.record.dtype}, vlbench {self.record.vlbench}"

    @property
    def exit_code(self) -> ExitCode:
        return ExitCode.OK if self.record.complete else ExitCode.MISSING

    def _rows(self) -> Rows:
        """Two rows per tower: the first forward, and the second, which has whatever the tower remembers."""
        return [
            {"scenario": group.scenario, "point": group.point, "tower": row.name, "forward": name}
            | {"complete": row.complete, "failed": row.failed}
            | (counted_forward(forward).counters if forward else {})
            for group in self.record.groups
            for row in group.towers
            for name, forward in (("warm", row.warm), ("cold", row.cold))
        ]


@dataclass(frozen=True, repr=False)
class Verdicts(Result):
    """Two sides held against each other: a row per cell, each with its verdict and the reason."""

    record: Judged
    floors: RunFloors | None = None
    """What runs of other tools were judged by."""

    @property
    def title(self) -> str:
        return f"{self.record.command}: {self.record.before} against {self.record.after}"

    @property
    def exit_code(self) -> ExitCode:
        return self.record.exit_code

    def _rows(self) -> Rows:
        return [row.model_dump(mode="json", exclude={"moves"}) for row in self.record.rows]


@dataclass(frozen=True, repr=False)
class Stored(Result):
    """A baseline file."""

    record: Baseline

    @property
    def title(self) -> str:
        last = self.record.accepted[-1] if self.record.accepted else None
        return f"baseline {self.record.name}, {f'{last.what} by {last.by}' if last else 'accepted by nobody yet'}"

    @property
    def exit_code(self) -> ExitCode:
        return ExitCode.OK

    def _rows(self) -> Rows:
        return [row for cell in self.record.cells for row in _stored_rows(cell)]


@dataclass(frozen=True, repr=False)
class Profiled(Result):
    """Where the time of one variant goes."""

    record: dict[str, Any]
    """What was profiled and what was found, as plain data."""
    found: Rows
    parts: Callable[[int], Sequence[Part]]
    """What people are shown of it, with so many rows of the longer tables."""

    @property
    def title(self) -> str:
        what = self.record
        return f"{what['variant']} of {what['model']}, {what['dtype']}, {what['device']}: {what['batch']}"

    @property
    def exit_code(self) -> ExitCode:
        return ExitCode.OK

    def _rows(self) -> Rows:
        return self.found


def _group_facts(group: CellGroup) -> dict[str, Any]:
    return dict(zip(("scenario", "point", "model", "dtype", "device"), group.key, strict=True))


def _states(group: CellGroup) -> list[State]:
    """Those that were timed; warm where none was, so that each variant has a row."""
    timed = {state for trial in group.trials for variant in trial.variants for state in variant.timings}
    return [state for state in get_args(State) if state in timed] or ["warm"]


def _measured_row(each: Summary) -> dict[str, Any]:
    accuracy, counts, estimate = each.accuracy, each.counts, each.estimate
    return {
        "variant": each.row.name,
        "exactness": each.row.exactness,
        "passed": accuracy.passed if accuracy else None,
        "fp32_error": accuracy.fp32_error if accuracy else None,
        "timed_error": accuracy.timed_error if accuracy else None,
        "seconds": each.seconds,
        "ratio": estimate.ratio if estimate else None,
        "low": estimate.low if estimate else None,
        "high": estimate.high if estimate else None,
        "verdict": str(each.judgement.verdict),
        "reason": each.judgement.reason,
        "operations": counts.operations if counts else None,
        "attention_calls": counts.attention_calls if counts else None,
    }


def _stored_rows(cell: Any) -> Rows:
    facts = {"cell": cell.name, "kind": type(cell).__name__.removesuffix("Cell").lower()}
    if isinstance(cell, CountedCell):
        return [facts | {"forward": "warm"} | cell.warm.counters, facts | {"forward": "cold"} | cell.cold.counters]
    if isinstance(cell, CapturedCell):
        return [facts | {"range": each.name} | each.counters for each in cell.ranges]
    return [facts | {"seconds": cell.seconds, "trials": len(cell.trials), "exactness": cell.exactness}]
