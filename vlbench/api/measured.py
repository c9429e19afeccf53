"""What `vlbench.run` and `vlbench.verify` give back: variants that were checked, and timed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vlbench.api.results import Result, Rows, Verdicts
from vlbench.export.result_tables import speed_up_of
from vlbench.judging.exit_codes import ExitCode, worst
from vlbench.judging.summary import Summary, summaries
from vlbench.judging.verdict import Floors, Verdict
from vlbench.record.counts import Tally
from vlbench.record.samples import samples_of
from vlbench.record.schema import CellGroup, Results

if TYPE_CHECKING:
    import pandas


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
        """What it is, in one line."""
        state = "" if self.record.complete else ", interrupted"
        return f"{self.record.command}, {self.record.created:%Y-%m-%d %H:%M}{state}: {self.record.fingerprint.line}"

    @property
    def exit_code(self) -> ExitCode:
        """A run measures and does not gate: only inaccurate (5) and missing (6) rows and trials are failures.

        One that is not complete misses something.
        """
        found = [each.judgement.verdict for group in self.record.groups for each in summaries(group, Floors())]
        found += [Verdict.MISSING for group in self.record.groups for _ in group.lost]
        found += [] if self.record.complete else [Verdict.MISSING]
        failures = (Verdict.INACCURATE, Verdict.MISSING)
        return worst([verdict if verdict in failures else Verdict.SAME for verdict in found])

    def samples(self) -> pandas.DataFrame:
        """Every reading: one row per group, variant, trial, state and round; see `vlbench.record.samples.COLUMNS`."""
        return samples_of(self.record)

    def _rows(self) -> Rows:
        return [
            _group_facts(group) | {"state": state} | _measured_row(each) | _at_scale(group, each)
            for group in self.record.groups
            for state in group.states or ["warm"]  # so that each variant has a row
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
    notes: tuple[str, ...] = ()
    """What a reader has to know, one sentence each."""

    @property
    def title(self) -> str:
        """What it is, in one line."""
        return f"{self.record.model}, {self.record.dtype}, {self.record.device}, on {len(self.batches)} batches"

    @property
    def exit_code(self) -> ExitCode:
        """What the command of the same name ends with."""
        passed = all(each.accuracy and each.accuracy.passed for each in self.record.trials[0].variants)
        return ExitCode.OK if passed else ExitCode.INACCURATE

    def _rows(self) -> Rows:
        found = summaries(self.record, Floors())
        kept = ("exactness", "passed", "fp32_error", "fp32_limit", "timed_error", "timed_limit", "reason")
        return [
            {"variant": each.row.name} | {name: getattr(each.accuracy, name, None) for name in kept} for each in found
        ]


def _group_facts(group: CellGroup) -> dict[str, Any]:
    return dict(zip(("scenario", "point", "model", "dtype", "device"), group.key, strict=True))


def _at_scale(group: CellGroup, each: Summary) -> dict[str, Any]:
    """The counters of the row at the size of a released model; nothing where that was not counted."""
    if group.at_scale is None:
        return {}
    row = next((row for row in group.at_scale.rows if row.name == each.row.name), None)
    counters = row.warm.model_dump() if row and row.warm else dict.fromkeys(Tally.model_fields)
    return {f"at_scale_{name}": value for name, value in counters.items()}


def _measured_row(each: Summary) -> dict[str, Any]:
    accuracy = {name: getattr(each.accuracy, name, None) for name in ("passed", "fp32_error", "timed_error")}
    change = {name: getattr(each.estimate, name, None) for name in ("ratio", "low", "high", "confidence")}
    change |= speed_up_of(each.estimate)  # by the names of --csv
    counts = {name: getattr(each.counts, name, None) for name in ("aten_operations", "attention_calls")}
    judged = {"verdict": str(each.judgement.verdict), "reason": each.judgement.reason}
    row = {"variant": each.row.name, "exactness": each.row.exactness}
    return row | accuracy | {"seconds": each.seconds} | change | judged | counts
