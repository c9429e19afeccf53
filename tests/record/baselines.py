"""Baselines made by hand, for tests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tests.record.records import FINGERPRINT
from vlbench.comparing.counted_moves import COUNTERS
from vlbench.record.baseline import Acceptance, Baseline, CountedCell, CountedForward, StoredTrial, TimedCell
from vlbench.record.counts import Key
from vlbench.record.site import Event, Site, Where

KEY = Key(mode="ghost", profile="sm_90", dtype="bfloat16", attention_backend="flash", torch_version="2.13.0")
ACCEPTED = Acceptance(
    what="saved",
    by="somebody",
    reason="it is right",
    date=datetime(2025, 11, 3, tzinfo=UTC),
    revision="0123456789abcdef",
    dirty=False,
    torch="2.13.0",
)


TIMED = TimedCell(
    variant="best",
    reference="baseline",
    scenario="single-image",
    point="",
    grids=((1, 16, 16),),
    model="qwen2.5-vl-tiny",
    dtype="float32",
    device="cpu",
    state="warm",
    seed=0,
    threads=1,
    weights="random",
    exactness="reassociated",
    trials=tuple(StoredTrial(ratio=0.5, low=0.49, high=0.51, rounds=30, confidence=0.95) for _ in range(5)),
    seconds=0.01,
)


def forward(*lines: tuple[Event, str, int], stages: dict[str, dict[str, int]] | None = None, **counters: int) -> Any:
    return CountedForward(
        counters=dict.fromkeys(COUNTERS, 0) | counters,
        stages=stages or {},
        sites=tuple(Site(event=event, where=Where.parse(where), times=times) for event, where, times in lines),
    )


def cell(warm: CountedForward | None = None, cold: CountedForward | None = None, **fields: Any) -> CountedCell:
    """Both forwards the same unless both are given."""
    second = warm or forward()
    given: dict[str, Any] = {
        "tower": "toy:Tower",
        "scenario": "single-image",
        "point": "",
        "grids": ((1, 36, 36),),
        "profile": "sm_90",
        "dtype": "bfloat16",
        "key": KEY,
        "warm": second,
        "cold": cold or second,
    }
    return CountedCell(**given | fields)


def baseline(*cells: CountedCell, **fields: Any) -> Baseline:
    """Accepted and sealed."""
    given: dict[str, Any] = {
        "name": "toy",
        "fingerprint": FINGERPRINT,
        "counted": cells or (cell(),),
        "accepted": (ACCEPTED,),
    }
    return Baseline(**given | fields).sealed()
