"""Groups made by hand that hold one of everything there is to show."""

from __future__ import annotations

from typing import Any

from tests.record.records import CLOSE, died, failed, group, reference_tower, timed, trial
from vlbench.record.schema import CellGroup, Counts, Trial

PRESET = "best"
COMBINATION = "host-seqlens+window-sort+batched-windows"


def one_trial(number: int = 0, **fields: Any) -> Trial:
    few = Counts(aten_operations=120, attention_calls=9)
    shares = {"forward": 0.0001, "plan": 0.002, "patch_embed": 0.001, "attention": 0.004, "mlp": 0.003}
    return trial(
        number=number,
        variants=(
            reference_tower(stages=shares, first_seconds=0.012),
            timed("host-grid", 1.0),
            timed(COMBINATION, 0.8, accuracy=CLOSE, counts=few, first_seconds=0.05),
            failed("window-sort"),
            died("rope-cache"),
            timed("no-einops", 1.2),
            timed(PRESET, 0.5, accuracy=CLOSE, counts=few, stages=shares),
        ),
        **fields,
    )


def quick_look() -> CellGroup:
    first, wanted = one_trial(), ("baseline", COMBINATION, "no-einops", PRESET)
    again = tuple(each for each in first.variants if each.name in wanted)
    second = trial(number=1, confirms=True, variants=again)
    return group(first, second, why_scaled="Two tiny photos, because this is a test.")


def voted() -> CellGroup:
    again = (one_trial(number).model_copy(update={"confirms": True}) for number in range(5, 10))
    return group(*map(one_trial, range(5)), *again, point="count=4", lost=("trial 6: no end after 900 s",))
