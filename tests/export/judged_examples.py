"""A comparison made by hand that holds one of everything there is to show, with names that are hard to write down."""

from __future__ import annotations

from typing import Any

from hypothesis import settings, strategies as st

from vlbench.judging.judged import Judged, JudgedRow, Move
from vlbench.judging.verdict import Verdict
from vlbench.judging.words import change

TOWER = "qwen2.5-vl-7b+best single-image bfloat16 sm_90"
AWKWARD = 'my.towers:vision|"wide" `a<b>` @you #12 *x* über\nsecond\tline \x1b[31m'
SOURCE = "longest = int((cu_seqlens[1:] - cu_seqlens[:-1]).max().item())  # " + "why this is so long " * 30

MOVES = (
    Move(kind="counter", name="host_syncs", before=4, after=36, stage="block.attention"),
    Move(kind="counter", name="read_back_bytes", before=32, after=2_320_000, unit="B", stage="block.attention"),
    Move(kind="counter", name="peak_live_bytes", before=1_000_000_000, after=1_000_000_512, unit="B"),
    Move(kind="counter", name="device_operations (first forward)", before=2058, after=2026, stage="plan"),
    Move(
        kind="line",
        name=f"read-back: {SOURCE}",
        before=0,
        after=32,
        file="pkg/attention.py",
        line=88,
        advice="take the longest sequence from the host",
    ),
    Move(kind="line", name="upload: ids.to(device)", before=4, after=0, file="elsewhere/rope.py", line=17),
    Move(kind="line", name="upload: (no Python line)", before=0, after=1),
    Move(kind="operation", name="aten::_local_scalar_dense", before=0, after=32),
    *(Move(kind="operation", name=f"aten::op_{number}", before=number, after=0) for number in range(1, 9)),
)


def counted(verdict: Verdict, cell: str = TOWER, reason: str = "all 13 counters are equal", **fields: Any) -> JudgedRow:
    return JudgedRow(cell=cell, measure="counters", verdict=verdict, reason=reason, **fields)


def timed(verdict: Verdict, cell: str, ratio: float, **fields: Any) -> JudgedRow:
    figures: dict[str, Any] = {
        "before": 0.0123,
        "after": 0.0123 * ratio,
        "unit": "s",
        "ratio": ratio,
        "low": ratio * 0.99,
        "high": ratio * 1.01,
        "confidence": 0.9375,
        "visible": 0.021,
        "reason": f"median {change(ratio)} of 5 trials",
    }
    return JudgedRow(cell=cell, measure="time", verdict=verdict, **figures | fields)


def one_of_everything(**fields: Any) -> Judged:
    slowed = Move(kind="stage", name="attention", before=0.004, after=0.0051, unit="s")
    rows = (
        counted(Verdict.SAME),
        timed(Verdict.SAME, "tiny rope-cache multi-image float32", 1.001),
        timed(Verdict.IMPROVED, "tiny best multi-image float32", 0.8),
        timed(Verdict.INCONCLUSIVE, "tiny no-einops multi-image float32", 1.02, visible=0.083),
        timed(Verdict.REGRESSED, "tiny window-sort multi-image float32", 1.09, moves=(slowed,)),
        timed(Verdict.REGRESSED, "tiny exact multi-image float32", 1.07, gates=False),
        counted(Verdict.REGRESSED, AWKWARD, "host syncs rose from 4 to 36 | in block.attention", moves=MOVES),
        counted(Verdict.MISSING, "hf:qwen2-vl-7b video", "aten::frobnicate is unknown; its cost cannot be counted"),
        JudgedRow(
            cell="tiny wrong multi-image float32",
            measure="accuracy",
            verdict=Verdict.INACCURATE,
            reason="relative error 0.3 in float32, and 1e-05 is allowed",
        ),
        counted(Verdict.SAME, f"{TOWER} within", "what moved stayed within its band", moves=MOVES[2:3]),
        *(counted(Verdict.SAME, f"qwen2-vl-7b point={number}") for number in range(6)),
    )
    whole: dict[str, Any] = {
        "command": "gate",
        "before": "results/baselines/qwen2.5-vl-7b.json (3f2a9c1)",
        "after": "this checkout",
        "rows": rows,
        "notes": ("The machine is another one, so stored times are not compared.",),
        "written": "results/baselines/qwen2.5-vl-7b.proposed.json",
        "remedy": 'mend it, or accept it: vlbench baseline accept FILE --reason "why"',
        "seconds": 12.3,
    }
    return Judged(**whole | fields)


def all_the_same(rows: int = 14) -> Judged:
    return Judged(
        command="gate",
        before="a.json",
        after="this checkout",
        rows=tuple(counted(Verdict.SAME, f"cell {number}") for number in range(rows)),
    )


FIGURE = st.none() | st.floats(allow_nan=False)
RATIO = st.none() | st.floats(min_value=1e-9)
MOVED = st.builds(
    Move,
    kind=st.sampled_from(["counter", "operation", "line", "stage"]),
    name=st.text(),
    before=st.floats(min_value=0),
    after=st.floats(min_value=0),
    unit=st.sampled_from(["", "B", "s"]),
    stage=st.text(max_size=9),
    file=st.none() | st.text(),
    line=st.none() | st.integers(min_value=1),
    advice=st.text(max_size=9),
)
ROW = st.builds(
    JudgedRow,
    cell=st.text(),
    measure=st.sampled_from(["counters", "time", "accuracy"]),
    verdict=st.sampled_from(list(Verdict)),
    reason=st.text(),
    gates=st.booleans(),
    before=FIGURE,
    after=FIGURE,
    unit=st.sampled_from(["", "s", "x the reference tower"]),
    better=st.sampled_from(["lower", "higher", "less", "more"]),
    ratio=RATIO,
    low=RATIO,
    high=RATIO,
    confidence=st.none() | st.floats(0, 1),
    visible=FIGURE,
    moves=st.lists(MOVED, max_size=3).map(tuple),
)
ANYTHING = st.builds(
    Judged,
    command=st.sampled_from(["gate", "diff", "ab"]),
    before=st.text(),
    after=st.text(),
    rows=st.lists(ROW, max_size=6).map(tuple),
    notes=st.lists(st.text(), max_size=2).map(tuple),
    written=st.none() | st.text(),
    remedy=st.none() | st.text(),
    allow_inconclusive=st.booleans(),
    seconds=st.floats(min_value=0, max_value=1e5),
)
"""Whatever the types allow."""
anything = settings(max_examples=40)
"""Drawing a whole comparison is slow, and each holds many names."""
