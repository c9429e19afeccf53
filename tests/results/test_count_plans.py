"""The table of attention plans says what is counted today."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from results.count_flags import CHURN, MODEL, PROFILE, count_deep, grids_of, plans_of
from results.count_plans import FLASH, LADDER, SCENARIO, PlanRow, count_row, plan_table, stored_plans, towers
from vlbench.counting_device import CountingDevice
from vlbench.implementations.optimized import PRESETS, preset_flags
from vlbench.record.flag_counts import CHURN_PLANS, stored_counts

ROWS = {row.name: row for row in stored_plans().rows}
BEST = f"best without {FLASH}"
ON_A_HOPPER = {
    "baseline": (12, 0, 9, 10, 0, 11, 11, 8, 10, 9),
    "exact": (12, 0, 2, 2, 0, 1, 1, 3, 5, 3),
    BEST: (12, 0, 6, 7, 0, 3, 3, 6, 9, 8),
    "best": (0,) * 10,
}
"""The first call, the same grids again, and the calls of churn."""


def plans_in(row: PlanRow) -> tuple[int, ...]:
    return (row.first, row.again, *row.churn)


def test_every_tower_is_a_row_of_the_flags_it_has_today() -> None:
    assert {name: None if flags is None else tuple(sorted(flags)) for name, flags in towers()} == {
        name: row.flags for name, row in ROWS.items()
    }
    assert all(len(row.churn) == CHURN for row in ROWS.values())


def test_what_the_rows_show() -> None:
    churn = {name: sum(row.churn) for name, row in ROWS.items()}
    assert all(row.again == 0 for row in ROWS.values())
    assert churn["baseline"] > churn[BEST] > churn[f"the same with {LADDER}"] >= churn["exact"] > 0
    assert churn["exact"] == churn["no-einops"]
    assert ROWS["best"].first == churn["best"] == churn[FLASH] == 0
    assert FLASH in PRESETS["best"].flags("cuda")
    assert LADDER not in PRESETS["best"].flags("cuda")
    whole, ladder = ROWS[BEST], ROWS[f"the same with {LADDER}"]
    assert whole.attention_calls < ladder.attention_calls <= 2 * whole.attention_calls
    assert (whole.host_syncs, whole.uploads) == (ladder.host_syncs, ladder.uploads) == (0, 1)


def test_the_reference_tower_builds_plans_for_all_windows_of_a_new_grid_and_best_none() -> None:
    """Its layout puts the number of patches into a stride, `batched-windows` that of equal windows into the batch."""
    assert {name: plans_in(ROWS[name]) for name in ON_A_HOPPER} == ON_A_HOPPER


def test_flags_and_plans_were_counted_alike() -> None:
    for name, tower in stored_counts().towers.items():
        if row := ROWS.get(name):
            assert tower["multi-image"][CHURN_PLANS] == sum(row.churn)
            assert tower["multi-image"]["attention_calls"] == row.attention_calls


def test_the_table_has_a_line_for_each_row() -> None:
    lines = plan_table().splitlines()
    assert len(lines) == 4 + len(ROWS)
    assert {line.split(" | ")[0].removeprefix("| ") for line in lines[4:]} == set(ROWS)


@pytest.fixture
def device() -> Iterator[CountingDevice]:
    with CountingDevice("ghost", PROFILE) as opened:
        yield opened
    count_deep.cache_clear()
    plans_of.cache_clear()


def test_none_are_built_where_cudnn_is_not_preferred_and_each_once_where_it_is() -> None:
    flags = preset_flags("best", MODEL, "cuda")[0] - {FLASH}
    grids = ((1, 10, 10),)  # a window of four merged patches a side, and what is left of a second and a third
    for gpu, wanted in {"sm_80": (0, 0), "sm_90": (4, 0)}.items():
        with CountingDevice("ghost", gpu) as device:
            assert plans_of(flags, grids, device, churn=0) == wanted
    plans_of.cache_clear()


@pytest.mark.slow(30)
def test_rows_are_counted_as_they_are_stored(device: CountingDevice) -> None:
    if stored_plans().torch_version != torch.__version__.partition("+")[0]:
        pytest.skip("counts are of another torch")
    for name, flags in towers():
        assert plans_of(flags, grids_of(SCENARIO), device) == plans_in(ROWS[name])
        if name.startswith(("best", "the same")):
            assert count_row(name, flags, device) == ROWS[name]
