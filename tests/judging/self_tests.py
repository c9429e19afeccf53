"""Results of self-tests that never ran, with noise that is known."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from tests.record.records import in_order, told_apart
from vlbench.record.exactness import Accuracy
from vlbench.record.schema import CellGroup, Row, Timing, Trial, VariantTrial

RIGHT = Accuracy(passed=True, exactness="bit-exact", fp32_error=0.0, fp32_limit=0.0)


def self_test_group(
    rows: Mapping[str, tuple[float, float]],
    *,
    trials: int = 5,
    confirmed: Mapping[str, float] | None = None,
    noise: float = 0.002,
    not_measured: Mapping[str, str] | None = None,
) -> CellGroup:
    """A group whose rows have (injected slow-down, real ratio); `confirmed` are the ratios when measured again.

    Left out, whatever changed is the same when it is measured again.
    """
    draw = random.Random(0)
    not_measured = not_measured or {}

    def measured(name: str, ratio: float) -> VariantTrial:
        if name in not_measured:
            return VariantTrial(name=name, not_measured=not_measured[name])
        seconds = tuple(0.004 * ratio * (1 + draw.gauss(0, noise)) for _ in range(20))
        return VariantTrial(name=name, accuracy=RIGHT, timings={"warm": Timing(seconds=seconds)})

    def trial(number: int, ratios: Mapping[str, float], confirms: bool) -> Trial:
        variants = tuple(measured(name, ratio) for name, ratio in {"baseline": 1.0, **ratios}.items())
        fields: dict[str, Any] = {"seed": 0, "batch": "b", "grids": (), "order": in_order(variants)}
        return told_apart(Trial(number=number, confirms=confirms, variants=variants, **fields))

    first = {name: ratio for name, (_, ratio) in rows.items()}
    ran = [trial(number, first, False) for number in range(trials)]
    if confirmed is None:
        confirmed = {name: ratio for name, ratio in first.items() if abs(ratio - 1) > 0.011 and trials >= 4}
    if confirmed:
        ran += [trial(trials + number, confirmed, True) for number in range(trials)]
    reference_tower = Row(name="baseline", flags=None, exactness="bit-exact")
    others = [
        Row(name=name, flags=None, exactness="bit-exact", slow_down=slow_down) for name, (slow_down, _) in rows.items()
    ]
    return CellGroup(
        scenario="self-test",
        point="group=1",
        model="qwen2-vl-tiny",
        dtype="float32",
        device="cpu",
        weights="random",
        seed=0,
        threads=1,
        rows=(reference_tower, *others),
        trials=tuple(ran),
    )
