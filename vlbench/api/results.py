"""What the functions of the API give back: the record, its table for pandas, and how it looks in a notebook."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from vlbench.comparing.counted_cells import counted_forward
from vlbench.export.capturable import captured_whole
from vlbench.export.held_capture import held_capture_parts
from vlbench.export.recommended import judged_set, recommended_parts
from vlbench.export.sheet import Part, Table, records
from vlbench.judging.exit_codes import ExitCode, worst
from vlbench.judging.judged import Judged
from vlbench.judging.unpaired import RunFloors
from vlbench.judging.verdict import Verdict
from vlbench.predicting.captured import HeldCapture
from vlbench.predicting.checked import CheckedPrediction
from vlbench.predicting.predicted import Prediction
from vlbench.record.baseline import Baseline, CapturedCell, CountedCell
from vlbench.record.capturable import BLOCKERS, CapturableReport
from vlbench.record.counted import CountReport
from vlbench.record.recommendation import Recommendation
from vlbench.workload.serving import Served

if TYPE_CHECKING:
    import pandas

Rows = Sequence[Mapping[str, Any]]


class Result(ABC):
    """A result: `.record` is all of it, typed; `.table()` has a row per variant or cell; a notebook shows that."""

    @property
    @abstractmethod
    def title(self) -> str:
        """What it is, in one line."""

    @property
    def exit_code(self) -> ExitCode:
        """What the command of the same name ends with: 0 is good, docs/api.md has the others."""
        return ExitCode.OK

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
class Counted(Result):
    """What towers ask of a GPU, counted without one."""

    record: CountReport

    @property
    def title(self) -> str:
        """What it is, in one line."""
        return f"counted as {self.record.profile}, {self.record.dtype}, vlbench {self.record.vlbench}"

    @property
    def exit_code(self) -> ExitCode:
        """What the command of the same name ends with."""
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
class Capturable(Result):
    """Which forwards can be CUDA graphs."""

    record: CapturableReport

    @property
    def title(self) -> str:
        """What it is, in one line."""
        return f"captures looked at as {self.record.profile}, {self.record.dtype}, vlbench {self.record.vlbench}"

    @property
    def exit_code(self) -> ExitCode:
        """What the command of the same name ends with."""
        return captured_whole(self.record).exit_code

    def _rows(self) -> Rows:
        """A row per tower, and per form in which its plan is handed in; how often each kind ends a capture."""
        return [
            {"scenario": group.scenario, "point": group.point, "tower": row.name, "plan": row.plan}
            | {"capturable": row.capturable, "failed": row.failed, "lines": row.lines}
            | {kind: row.times(kind) for kind in BLOCKERS}
            | {"key": row.key.verdict if row.key else None}
            for group in self.record.groups
            for row in group.rows
        ]


@dataclass(frozen=True, repr=False)
class Verdicts(Result):
    """Two sides held against each other: a row per cell, each with its verdict and the reason."""

    record: Judged
    floors: RunFloors | None = None
    """What runs of other tools were judged by."""

    @property
    def title(self) -> str:
        """What it is, in one line."""
        return f"{self.record.command}: {self.record.before} against {self.record.after}"

    @property
    def exit_code(self) -> ExitCode:
        """What the command of the same name ends with."""
        return self.record.exit_code

    def _rows(self) -> Rows:
        return [row.model_dump(mode="json", exclude={"moves"}) for row in self.record.rows]


@dataclass(frozen=True, repr=False)
class Stored(Result):
    """A baseline file."""

    record: Baseline

    @property
    def title(self) -> str:
        """What it is, in one line."""
        last = self.record.accepted[-1] if self.record.accepted else None
        return f"baseline {self.record.name}, {f'{last.what} by {last.by}' if last else 'accepted by nobody yet'}"

    def _rows(self) -> Rows:
        return [row for cell in self.record.cells for row in _stored_rows(cell)]


@dataclass(frozen=True, repr=False)
class Profiled(Result):
    """Where the time of one variant goes."""

    record: dict[str, Any]
    """What was profiled and what was found, as plain data."""
    parts: Callable[[int], Sequence[Part]]
    """What a terminal shows, with so many rows of the longer tables."""

    @property
    def title(self) -> str:
        """What it is, in one line."""
        what = self.record
        of = f" of {what['model']}" if what["model"] != what["variant"] else ""
        return f"{what['variant']}{of}, {what['dtype']}, {what['device']}: {what['batch']}"

    def _rows(self) -> Rows:
        return records(part for part in self.parts(0) if isinstance(part, Table))


BANDS = ("span", "busy", "idle", "floor", "of_floor", "ratio")
"""Of a predicted row."""


@dataclass(frozen=True, repr=False)
class Predictions(Result):
    """What towers would take on GPUs that are not here."""

    record: Prediction
    checked: CheckedPrediction | None = None
    """What was then measured on the GPU of this machine, where that was asked for."""

    @property
    def title(self) -> str:
        """What it is, in one line."""
        return f"predicted for {', '.join(self.record.boards)}, {self.record.dtype}, vlbench {self.record.vlbench}"

    @property
    def exit_code(self) -> ExitCode:
        """What the command of the same name ends with."""
        predicted = Verdict.SAME if self.record.complete else Verdict.MISSING
        if self.checked is None:
            return worst([predicted])
        from vlbench.export.checked_prediction import judged_rows  # scipy with it, which counts do without

        return worst([predicted, *(each.verdict for each in judged_rows(self.checked))])

    def _rows(self) -> Rows:
        """A row per tower and GPU; times are seconds, and never measured, but for `measured`, where that was done."""
        seen = None
        if self.checked is not None:
            from vlbench.export.checked_prediction import held_rows

            seen = [{"measured": each.seconds} for each in held_rows(self.checked)]
        rows = [
            {"scenario": group.scenario, "point": group.point, "gpu": row.gpu, "tower": row.row, "bound": row.bound}
            | {f"{name}_{end}": getattr(getattr(row, name), end, None) for name in BANDS for end in ("low", "high")}
            | {"failed": row.failed}
            for group in self.record.groups
            for row in group.rows
        ]
        return [row | more for row, more in zip(rows, seen, strict=True)] if seen else rows


@dataclass(frozen=True, repr=False)
class Held(Result):
    """A profiler's capture beside what is predicted of it."""

    record: HeldCapture

    @property
    def title(self) -> str:
        """What it is, in one line."""
        return f"{self.record.capture}, held against predictions"

    @property
    def exit_code(self) -> ExitCode:
        """What the command of the same name ends with."""
        return ExitCode.OK if self.record.complete else ExitCode.MISSING

    def _rows(self) -> Rows:
        return records(part for part in held_capture_parts(self.record) if isinstance(part, Table))


@dataclass(frozen=True, repr=False)
class Recommended(Result):
    """Whether each flag helps, and the set that is recommended."""

    record: Recommendation

    @property
    def title(self) -> str:
        """What it is, in one line."""
        return f"recommended for {self.record.preset.made_for()}, {self.record.preset.by}"

    @property
    def exit_code(self) -> ExitCode:
        """What the command of the same name ends with."""
        return judged_set(self.record).exit_code

    def _rows(self) -> Rows:
        return [row for part in recommended_parts(self.record) if isinstance(part, Table) for row in records([part])]


@dataclass(frozen=True, repr=False)
class Simulated(Result):
    """What a cache of embeddings and graphs come to under requests of a mix."""

    record: Mapping[str, Served]
    """By point of the scenario."""
    parts: Sequence[Part]
    """What a terminal shows."""
    heading: str

    @property
    def title(self) -> str:
        """What it is, in one line."""
        return self.heading

    def _rows(self) -> Rows:
        return records(part for part in self.parts if isinstance(part, Table))


def _stored_rows(cell: Any) -> Rows:
    facts = {"cell": cell.name, "kind": type(cell).__name__.removesuffix("Cell").lower()}
    if isinstance(cell, CountedCell):
        return [facts | {"forward": "warm"} | cell.warm.counters, facts | {"forward": "cold"} | cell.cold.counters]
    if isinstance(cell, CapturedCell):
        return [facts | {"range": each.name} | each.counters for each in cell.ranges]
    return [facts | {"seconds": cell.seconds, "trials": len(cell.trials), "exactness": cell.exactness}]
