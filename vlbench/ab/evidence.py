"""How often each way calls identical revisions different: measured before, shipped as a file, and said every time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from importlib.resources import files
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from vlbench.ab.asked import Way
from vlbench.judge.evidence import upper_bound
from vlbench.judge.judged import Judged
from vlbench.judge.verdict import Verdict
from vlbench.judge.words import percent
from vlbench.record.fingerprint import Fingerprint
from vlbench.record.schema import Device

SHIPPED = "measured/false-alarms.json"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Run(_Part):
    """One comparison of a revision with itself."""

    way: Way
    verdicts: tuple[Verdict, ...] = Field(description="Of its rows.")
    ratio: float | None = Field(description="Of the two times; None where there is none.")
    visible: float | None = Field(description="The smallest change, as a share, that would have shown.")
    seconds: float = Field(description="That it took.")

    @classmethod
    def of(cls, way: Way, judged: Judged) -> Run:
        time = next((row for row in judged.rows if row.measure == "time"), None)
        return cls(
            way=way,
            verdicts=tuple(row.verdict for row in judged.rows),
            ratio=time and time.ratio,
            visible=time and time.visible,
            seconds=judged.seconds,
        )

    @property
    def is_complete(self) -> bool:
        """Was all of it measured? Else nothing could be called."""
        return Verdict.MISSING not in self.verdicts

    @property
    def is_alarm(self) -> bool:
        """Were the two called different?"""
        return not {Verdict.SAME, Verdict.INCONCLUSIVE, Verdict.MISSING}.issuperset(self.verdicts)


class FalseAlarms(_Part):
    """What is shipped."""

    schema_version: Literal[1] = 1
    created: datetime
    fingerprint: Fingerprint
    device: Device
    command: str = Field(description="What each run was, with REVISION for the revision.")
    runs: tuple[Run, ...]


def shipped() -> FalseAlarms | None:
    """What this vlbench was measured to do; None where it never was."""
    file = files("vlbench.ab").joinpath(SHIPPED)
    return FalseAlarms.model_validate_json(file.read_text()) if file.is_file() else None


def sentence(found: FalseAlarms | None, way: Way, device: Device) -> str:
    """How far a call in this way is to be trusted."""
    runs = [run for run in (found.runs if found else ()) if run.way is way and run.is_complete]
    if found is None or found.device != device or not runs:
        return f"{_WAYS[way]}; how often that calls identical revisions different is not measured on {_DEVICES[device]}"
    return f"{_WAYS[way]}; {tally(runs)}, measured on {found.fingerprint.gpu or found.fingerprint.cpu}"


def tally(runs: Sequence[Run]) -> str:
    """Of those that were complete: "0 of 40 identical pairs called different (at most 7.2 %), 3 undecided"."""
    complete = [run for run in runs if run.is_complete]
    if not complete:
        return f"none of {len(runs)} comparisons could be measured"
    alarms, cases = sum(run.is_alarm for run in complete), len(complete)
    called = f"{alarms} of {cases} identical pairs called different (at most {percent(upper_bound(alarms, cases))})"
    undecided = sum(Verdict.INCONCLUSIVE in run.verdicts for run in complete)
    return f"{called}, {undecided} undecided" if undecided else called


_WAYS = {
    Way.ONE_PROCESS: "both revisions shared one process and its rounds",
    Way.LOCK_STEP: "each revision ran in a process of its own, in lock-step",
}
_DEVICES = {"cpu": "a CPU", "cuda": "a GPU"}
