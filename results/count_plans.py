"""Attention plans of cuDNN that changing grids cost: `python -m results.count_plans` writes results/plans.

cuDNN builds a plan on the host for every new set of sizes and strides of an attention call. What `best` does about it
is told by the rows beside it, whose other counters are those of `results.count_flags`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import torch

from results.count_flags import CHURN, DTYPE, MODEL, PROFILE, Flags, count_deep, grids_of, plans_of
from vlbench.counting_device import CountingDevice
from vlbench.counting_device.profiles import CUDNN
from vlbench.implementations.optimized import preset_flags
from vlbench.judging.words import readable_bytes
from vlbench.record.base import Checksummed, Count, Record, read_intact
from vlbench.record.files import write_whole
from vlbench.untrusted.files import Kind
from vlbench.version import __version__

SCENARIO = "multi-image"
PATH = Path(__file__).parent / "plans" / f"{SCENARIO}.json"
STORED = Kind("write it anew with `python -m results.count_plans`", ours=True)
FLASH, LADDER, BATCHED = "sdpa-flash", "window-ladder", frozenset({"batched-windows", "window-sort"})
COUNTERS = ("device_operations", "attention_calls", "host_syncs", "uploads", "allocated_bytes")


class PlanRow(Record):
    """One tower."""

    name: str
    flags: tuple[str, ...] | None
    """Sorted; None for the reference tower."""
    first: Count
    """Plans of the first call of a process."""
    again: Count
    """Of the same grids again."""
    churn: tuple[Count, ...]
    """Of each of CHURN calls after these, on changing grids."""
    device_operations: Count
    """These and the following: of the second call."""
    attention_calls: Count
    host_syncs: Count
    uploads: Count
    allocated_bytes: Count


class StoredPlans(Checksummed):
    """All rows of one model on one scenario."""

    schema_version: Literal[1] = 1
    vlbench: str
    model: str
    dtype: str
    scenario: str
    profile: str
    cudnn: str
    torch_version: str
    rows: tuple[PlanRow, ...]


def towers() -> Iterator[tuple[str, Flags]]:
    """By the names that the table has."""
    best, _ = preset_flags("best", MODEL, "cuda")
    with_cudnn = best - {FLASH}
    yield "baseline", None
    yield "no-einops", frozenset({"no-einops"})
    yield FLASH, frozenset({FLASH})
    yield "exact", preset_flags("exact", MODEL, "cuda")[0]
    yield f"best without {FLASH}", with_cudnn
    yield f"the same without {' and '.join(sorted(BATCHED))}", with_cudnn - BATCHED
    yield f"the same with {LADDER}", with_cudnn | {LADDER}
    yield "best", best


def count_row(name: str, flags: Flags, device: CountingDevice) -> PlanRow:
    """One row."""
    grids = grids_of(SCENARIO)
    first, again, *churn = plans_of(flags, grids, device)
    counted = count_deep(flags, grids, device)
    kept = {field: counted.get(field, 0) for field in COUNTERS}
    chosen = None if flags is None else tuple(sorted(flags))
    return PlanRow(name=name, flags=chosen, first=first, again=again, churn=tuple(churn), **kept)


def count_all() -> StoredPlans:
    """Every row."""
    with CountingDevice("ghost", PROFILE) as device:
        rows = tuple(count_row(name, flags, device) for name, flags in towers())
    return StoredPlans(
        vlbench=__version__,
        model=MODEL.name,
        dtype=str(DTYPE).removeprefix("torch."),
        scenario=SCENARIO,
        profile=PROFILE,
        cudnn=CUDNN,
        torch_version=torch.__version__.partition("+")[0],
        rows=rows,
    ).with_checksum()


def stored_plans() -> StoredPlans:
    """The file. Raises UsageError where it is not there, or was edited or damaged."""
    return read_intact(StoredPlans, PATH, STORED)


def plan_table() -> str:
    """The stored rows as a Markdown table."""
    found = stored_plans()
    churn = f"{CHURN} calls on changing grids"
    head = ["tower", "first call", "again", churn, "in all", "operations", "attention calls", "waits", "allocated"]
    lines = [f"| {' | '.join(head)} |", "|---|--:|--:|---|" + "--:|" * 5]
    for row in found.rows:
        calls, again = " ".join(map(str, row.churn)), f"{row.device_operations:,} | {row.attention_calls:,}"
        plans = f"{row.first} | {row.again} | {calls} | {sum(row.churn)}"
        allocated = readable_bytes(row.allocated_bytes)
        lines.append(f"| {row.name} | {plans} | {again} | {row.host_syncs:,} | {allocated} |")
    where = f"{found.model}, {found.dtype}, {found.scenario}, as {found.profile} with cuDNN {found.cudnn}"
    told = f"*Plans that cuDNN builds for attention, and other counters of the second call: {where}.*"
    return "\n".join([told, "", *lines])


if __name__ == "__main__":
    PATH.parent.mkdir(exist_ok=True)
    write_whole(PATH, count_all().model_dump_json(indent=1) + "\n")
