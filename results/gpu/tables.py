"""What a GPU showed, as the tables of docs/gpu.md, from the files beside this one and those of results/calibration."""

from __future__ import annotations

import json
import textwrap
from functools import cache
from pathlib import Path
from typing import Any

from vlbench.record.calibration import Check, read_calibration

HERE = Path(__file__).parent
CALIBRATIONS = HERE.parent / "calibration"


def counted_and_seen() -> str:
    """Each tower that was counted and profiled in one process: counters as "counted / seen"."""
    rows = ["| GPU | tower | waits | uploads | read-backs | kernels, modelled / seen |", "|---|---|--:|--:|--:|--:|"]
    for path in sorted(CALIBRATIONS.glob("*.json")):
        found = read_calibration(path)
        rows += [
            f"| {found.gpu}, torch {found.torch_version} | `{each.tower}` | {_both(each, 'host_syncs')}"
            f" | {_both(each, 'uploads')} | {_both(each, 'read_backs')}"
            f" | {each.modelled_kernels:,.0f} / {each.kernels:,} |"
            for each in found.checks
        ]
    return "\n".join(rows)


def seen_sentence() -> str | None:
    """How counts of towers compare with what a GPU was seen to do; None where none was asked."""
    found = next((read_calibration(path) for path in sorted(CALIBRATIONS.glob("*.json"))), None)
    if found is None:
        return None
    seen = [f"`{each.tower}` {each.seen['host_syncs']:,} of {each.counted['host_syncs']:,}" for each in found.checks]
    told = f"Of the waits counted so, an [{found.gpu}](docs/gpu.md) then showed: {', '.join(seen)}."
    return textwrap.fill(told, 120, break_long_words=False, break_on_hyphens=False)


def _both(check: Check, counter: str) -> str:
    return f"{check.counted[counter]:,} / {check.seen[counter]:,}"


def right_sentence() -> str:
    """How many rows were checked on a GPU, and how many were right."""
    towers = [json.loads(path.read_text()) for path in HERE.glob("verify-*.json")]
    passed = [row["accuracy"]["passed"] for rows in towers for row in rows]
    told = f"{sum(passed)} of {len(passed)} rows of {len(towers)} towers"
    return f"{told} were right in fp32 and in bf16, Triton kernels among them."


@cache
def answers() -> dict[str, dict[str, Any]]:
    """By question, what was found."""
    told = json.loads((HERE / "probe.json").read_text())["answers"]
    return {name: each["found"] for name, each in told.items()}


def probe_table() -> str:
    """The answers that decide which flags are in CUDA's `best`, and what a wait costs; medians."""
    plans, mlp, conv = (answers()[name] for name in ("attention-plans", "gate-and-up", "conv3d-or-product"))
    behind, costs, queue = (answers()[name] for name in ("behind-a-queue", "host-costs", "launch-queue"))
    rows = [
        ("an attention call of a length that cuDNN has no plan for", plans["as chosen"]["new lengths"]),
        ("the same length again", plans["as chosen"]["the same lengths again"]),
        ("the same length again, on another thread", plans["as chosen"]["the same lengths on another thread"]),
        ("a length that flash attention has not seen (`sdpa-flash`)", plans["flash"]["new lengths"]),
        *((f"gated MLP, {name}", spans) for name, spans in mlp.items()),
        *((f"patch embedding, {name}, as {way}", spans) for name, each in conv.items() for way, spans in each.items()),
        ("`add`, until the host goes on", costs["add, no wait"]),
        ("`item()`, nothing queued", costs["item"]),
        ("`item()`, behind 10 ms of queued work", behind["item"]),
    ]
    table = [f"| {name} | {_time(spans['median_us'])} |" for name, spans in rows]
    full = f"| launches that the queue holds before the host waits for room | {queue['first_that_waits']:,} |"
    return "\n".join(["| what | median |", "|---|--:|", *table, full])


def _time(us: float) -> str:
    return f"{us / 1000:,.1f} ms" if us >= 1000 else f"{us:,.0f} us"
