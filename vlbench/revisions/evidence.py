"""How often each way calls identical revisions different: measured before, shipped as a file, and said every time."""

from __future__ import annotations

from importlib.resources import files

from pydantic import Field

from vlbench.judging.identical import Evidence, IdenticalRun, tally
from vlbench.record.schema import Device
from vlbench.revisions.request import Way

SHIPPED = "measured/false-alarms.json"
PAIRS = "identical pairs"


class Run(IdenticalRun):
    """One comparison of a revision with itself."""

    way: Way


class FalseAlarms(Evidence):
    """What is shipped."""

    device: Device
    runs: tuple[Run, ...] = Field(description="In both ways.")


def shipped() -> FalseAlarms | None:
    """What this vlbench was measured to do; None where it never was."""
    file = files("vlbench.revisions").joinpath(SHIPPED)
    return FalseAlarms.model_validate_json(file.read_text()) if file.is_file() else None


def sentence(found: FalseAlarms | None, way: Way, device: Device) -> str:
    """How far a call in this way is to be trusted."""
    runs = [run for run in (found.runs if found else ()) if run.way is way and run.is_complete]
    if found is None or found.device != device or not runs:
        return f"{_WAYS[way]}; how often that calls identical revisions different is not measured on {_DEVICES[device]}"
    return f"{_WAYS[way]}; {tally(runs, PAIRS)}, measured on {found.fingerprint.gpu or found.fingerprint.cpu}"


_WAYS = {
    Way.ONE_PROCESS: "both revisions shared one process and its rounds",
    Way.LOCK_STEP: "each revision ran in a process of its own, in lock-step",
}
_DEVICES = {"cpu": "a CPU", "cuda": "a GPU"}
