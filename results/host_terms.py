"""What a host took for each act on a GPU that rows were held against: `python -m results.host_terms`.

Fitted to the rows of ours that this host held up, by least squares of the relative error, none below zero. It is no
test of the model, and nothing of it goes into the model. Four rows hold four figures loosely; how loosely is found,
too.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from statistics import median

import numpy as np
from scipy.optimize import linprog

from results.checked_predictions import FOLDER
from results.predict_again import CHECKED, MEASURED
from results.predict_published import SQUARE, predicted
from vlbench.kernel_times import board
from vlbench.predicting.checked import CheckedPrediction
from vlbench.predicting.host import Act, hosts
from vlbench.predicting.reading import prediction_in
from vlbench.record.base import Amount, Checksummed, Count, Record, fitting
from vlbench.record.files import write_whole
from vlbench.untrusted.files import Kind, read_json

PATH = FOLDER / "host-terms-h200.json"
STORED = Kind("write it anew with `python -m results.host_terms`", ours=True)
ROWS = ("baseline", "exact", "host-seqlens+batched-windows", "best")
ACTS = (Act.LAUNCH, Act.ATTENTION, Act.WAIT, Act.VIEW)
"""Of which there are many; views, allocations and operations on tensors of the host together."""


class Fitted(Record):
    """Of one process."""

    us: dict[str, Amount]
    """Microseconds of each act."""
    least: dict[str, Amount]
    """The fewest of each, with the others as they please, with which each row's median is within its 95 % interval."""
    most: dict[str, Amount]
    off: Amount
    """The largest relative error of a row."""


class HostTerms(Checksummed):
    """What each row asks of the host, and what that took."""

    acts: dict[str, dict[str, Count]]
    processes: tuple[Fitted, ...]


def acts_of(row: str) -> dict[str, int]:
    """How many of each act a forward has."""
    forward = predicted(f"qwen2.5-vl-7b+{row}".removesuffix("+baseline"), [SQUARE], "h200").found
    found = Counter(act for stretch in forward.forward for step in stretch.steps for act in step.acts)
    found[Act.VIEW] += found[Act.ALLOCATION] + found[Act.HOST]
    return {act.value: found[act] for act in ACTS}


def fitted(acts: dict[str, dict[str, int]], samples: Mapping[str, Sequence[float]]) -> Fitted:
    """The figures that come nearest to the medians of these rows, in seconds, and all that are near enough."""
    seconds = {row: median(samples[row]) for row in acts}
    share = np.array([[acts[row][act.value] * 1e-6 / seconds[row] for act in ACTS] for row in acts])

    def solved(kept: tuple[int, ...]) -> np.ndarray:
        us = np.zeros(len(ACTS))
        us[list(kept)] = np.linalg.lstsq(share[:, kept], np.ones(len(acts)), rcond=None)[0]
        return us

    tried = [solved(kept) for size in range(1, len(ACTS) + 1) for kept in combinations(range(len(ACTS)), size)]
    us = min((each for each in tried if min(each) >= 0), key=lambda each: float(np.sum((share @ each - 1) ** 2)))
    low, high = np.array([np.array(_interval(samples[row])) / seconds[row] for row in acts]).T
    sides, ends = np.concatenate([share, -share]), np.concatenate([high, -low])

    def furthest(sign: int) -> list[float]:
        found = [linprog(sign * each, A_ub=sides, b_ub=ends).fun for each in np.eye(len(ACTS))]
        return [sign * each for each in found if each is not None]

    least, most = furthest(1), furthest(-1)
    off = round(float(np.max(np.abs(share @ us - 1))), 4)
    return Fitted(us=_by_act(us), least=_by_act(least), most=_by_act(most), off=off)


def _by_act(us: Sequence[float] | np.ndarray) -> dict[str, float]:
    return {act.value: abs(round(float(each), 2)) for act, each in zip(ACTS, us, strict=True)}


def _interval(samples: Sequence[float]) -> tuple[float, float]:
    """The order statistics between which the median lies in 95 of 100 cases."""
    ordered, below = sorted(samples), int(len(samples) / 2 - math.sqrt(len(samples)))
    return ordered[below], ordered[-1 - below]


def main() -> None:
    """Count the rows, and fit each process."""
    held = prediction_in(CHECKED, read_json(CHECKED, STORED))
    assert isinstance(held, CheckedPrediction)
    assert held.measured is not None
    acts, processes = {row: acts_of(row) for row in ROWS}, []
    for trial in held.measured.groups[0].trials:
        took = {each.name: each.timings["warm"].seconds for each in trial.variants if each.name in ROWS}
        processes.append(fitted(acts, took))
    found = HostTerms(acts=acts, processes=tuple(processes)).with_checksum()
    write_whole(PATH, found.model_dump_json(indent=1) + "\n")


def terms_table(path: Path = PATH) -> str:
    """Each act as it was fitted and as the model has it, and how many of it the rows have, as a Markdown table."""
    found = fitting(HostTerms, read_json(path, STORED), path, STORED.remedy)
    fast, slow = hosts(board(MEASURED).stored.host)
    numbers = " | ".join(f"in `{row}`" for row in ROWS)
    each = " | ".join(f"process {number}, us" for number, _ in enumerate(found.processes, 1))
    rows = [f"| | {numbers} | the model, fast and slow, us | {each} |", f"|---|{'--:|' * (len(ROWS) + 3)}"]
    for act in ACTS:
        counts = " | ".join(f"{found.acts[row][act.value]:,}" for row in ROWS)
        took = " | ".join(_told(one, act) for one in found.processes)
        rows.append(f"| {act.value} | {counts} | {fast.us[act]:.1f} and {slow.us[act]:.1f} | {took} |")
    return "\n".join(rows)


def _told(one: Fitted, act: Act) -> str:
    return f"{one.us[act]:.1f} ({one.least[act]:.1f} to {one.most[act]:.1f})"


if __name__ == "__main__":
    main()
