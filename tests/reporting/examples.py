"""Records made by hand for reports: a ladder, a sweep with its floor, a prediction and a count."""

from __future__ import annotations

import math
from typing import Any

from tests.record.records import CLOSE, RIGHT, group, results, timed, trial
from vlbench.api.results import Counted, Predictions
from vlbench.predicting.predicted import Band, Predicted, PredictedGroup, Prediction, StageTime
from vlbench.record.counted import CountedTower, CountGroup, CountReport, Forward
from vlbench.record.counts import Counts, Key, Tally
from vlbench.record.exactness import Accuracy
from vlbench.record.schema import CellGroup, Results, Row, Trial, VariantTrial
from vlbench.record.site import Site, Where

MEDIAN = 0.0105
"""Seconds of the reference tower in `tests.record.records`."""
FREE = Accuracy(passed=True, exactness="result-changing", fp32_error=1.0, fp32_limit=math.inf)


def ladder() -> Results:
    """Five trials and as many that confirm: flag b halves what is left, and c does nothing."""
    steps = {"no-flags": 1.0, "+a": 0.8, "+b": 0.4, "+c": 0.4}
    before, rows = "baseline", [Row(name="baseline", flags=None, exactness="bit-exact")]
    for number, name in enumerate(steps):
        rows.append(Row(name=name, flags=tuple("abc"[:number]), exactness="bit-exact", reference=before))
        before = name

    def one(number: int) -> Trial:
        return trial(*(timed(name, factor) for name, factor in steps.items()), number=number, confirms=number > 4)

    return results(group(*map(one, range(10)), rows=tuple(rows)))


def sweep() -> Results:
    """One and two pictures of two sizes: a millisecond for each picture and side, half of it for `best`."""
    return results(*(_point(count, side) for side in (4, 8) for count in (1, 2)), command="vlbench run --with best")


def _point(count: int, side: int) -> CellGroup:
    k = 0.001 * count * side / MEDIAN
    rows: tuple[VariantTrial, ...] = (
        timed("baseline", k, accuracy=RIGHT),
        timed("best", 0.5 * k, accuracy=CLOSE),
        timed("floor", 0.25 * k, accuracy=FREE),
    )
    grids = ((1, side, side),) * count
    trials = [trial(number=number, confirms=number > 4, variants=rows, grids=grids) for number in range(10)]
    return group(*trials, scenario="pictures", point=f"grid={side}x{side},count={count}")


def predicted(**fields: Any) -> Predictions:
    """Two points on one GPU."""
    groups = []
    for side in (8, 16):
        base, floor = Band(low=0.01 * side, high=0.02 * side), Band(low=1e-5 * side, high=2e-5 * side)
        stage = StageTime(stage="attention", span=base, busy=floor)
        first = Predicted(
            row="baseline", tower="t", gpu="h100", forward="warm", span=base, floor=floor, stages=(stage,)
        )
        best = first.model_copy(
            update={
                "row": "best",
                "span": Band(low=0.002 * side, high=0.003 * side),
                "central": 0.002625 * side,
                "against": "baseline",
                "ratio": Band(low=5.0, high=6.6667),
            }
        )
        grids = ((1, side, side),)
        groups.append(PredictedGroup(scenario="square", point=f"grid={side}x{side}", grids=grids, rows=(first, best)))
    given: dict[str, Any] = {"vlbench": "0", "dtype": "bfloat16", "cudnn": "9.19", "hosts": "x"} | fields
    return Predictions(Prediction(boards={"h100": "a table"}, groups=tuple(groups), **given).with_checksum())


def counted() -> Counted:
    """A tower that waits at one line."""
    key = Key(mode="shadow", profile="sm_90", dtype="bfloat16", attention_backend="flash", torch_version="2.13.0")
    total = Tally(device_operations=1_234, host_syncs=3, read_backs=3, read_back_bytes=24)
    counts = Counts(
        key=key,
        total=total,
        stages={"": total},
        live_bytes_before=10,
        peak_live_bytes=20_000_000,
        operations={"aten::add": 1_234},
        kinds=(),
        causes=(),
        questions=(),
        unknown={},
        not_measured=(),
    )
    where = Where("longest = int(lengths.max())", "my_tower.py", 11)
    site = Site(event="read-back", operation="aten::_local_scalar_dense", where=where, times=3, bytes=24, blocking=True)
    one = Forward(counts=counts, sites=(site,))
    tower = CountedTower(name="mine", tower="my_tower:Tower", cold=one, warm=one)
    groups = (CountGroup(scenario="grid", point="", grids=((1, 4, 4),), towers=(tower,)),)
    report = CountReport(vlbench="0", profile="sm_90", dtype="bfloat16", groups=groups, seconds=1, peak_host_bytes=1)
    return Counted(report.with_checksum())
