"""Baselines of a merge base and of a change, on cells made by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.record.baselines import ACCEPTED, baseline, cell, forward
from vlbench.comparing.counted import judge_cells
from vlbench.gating.held import Held
from vlbench.gating.timed import GateResult
from vlbench.judging.judged import JudgedRow
from vlbench.record.baseline import Acceptance, Baseline, CountedCell, CountedForward
from vlbench.record.outputs import StoredCall, StoredOutputs
from vlbench.record.site import Site, Where

FILE = Path("toy.json")


ENTRY = ACCEPTED.model_copy(update={"what": "accepted", "by": "Ada", "reason": "lengths may differ"})


FEW, MANY = cell(forward(host_syncs=1)), cell(forward(host_syncs=4))


BEFORE = baseline(FEW)


LOST = "toy.json no longer lists what the merge base with main (0123456) does; take that back"


def head(*cells: CountedCell, entries: tuple[Acceptance, ...] = (ACCEPTED, ENTRY), **fields: Any) -> Baseline:
    return baseline(*cells, accepted=entries, **fields)


def settled(
    before: Baseline | None, after: Baseline | None, *now: CountedCell, accepts: bool = True
) -> list[JudgedRow]:
    held = Held(FILE, before, after, "the merge base with main (0123456)", accepts)
    measured = {each.name: each for each in now}
    rows = [judge_cells(each, measured[each.name]) for each in held.judged.counted]
    return list(held.settle(GateResult(rows, [], now)).rows)


def outputs(raised: str) -> tuple[StoredOutputs, ...]:
    return (StoredOutputs(tower="toy:Tower", names="", weights="", calls=(StoredCall(name="small", raised=raised),)),)


def waiting(line: str, allowed: str) -> CountedForward:
    site = Site(event="read-back", where=Where.parse(line), allowed=allowed, times=1)
    counters = {"read_backs": 1, "allowed_syncs" if allowed else "host_syncs": 1}
    return forward(**counters).model_copy(update={"sites": (site,)})  # type: ignore[no-any-return]
