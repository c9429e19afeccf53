"""The table of attention plans says what is counted today."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from results.attention_plans import CHURN
from results.count_flags import PROFILE, count_deep
from results.count_plans import FLASH, LADDER, count_row, plan_table, stored_plans, towers
from vlbench.counting_device import CountingDevice
from vlbench.record.flag_counts import stored_counts

ROWS = {row.name: row for row in stored_plans().rows}


def test_every_tower_is_a_row_of_the_flags_it_has_today() -> None:
    assert {name: None if flags is None else tuple(sorted(flags)) for name, flags in towers()} == {
        name: row.flags for name, row in ROWS.items()
    }
    assert all(len(row.churn) == CHURN for row in ROWS.values())


def test_what_the_rows_show() -> None:
    churn = {name: sum(row.churn) for name, row in ROWS.items()}
    assert all(row.again == 0 for row in ROWS.values())
    assert churn["baseline"] > churn["best"] > churn[f"best with {LADDER}"] >= churn["exact"] > 0
    assert churn["exact"] == churn["no-einops"]
    assert ROWS[FLASH].first == churn[FLASH] == churn[f"best with {FLASH}"] == 0
    whole, ladder = ROWS["best"], ROWS[f"best with {LADDER}"]
    assert whole.attention_calls < ladder.attention_calls <= 2 * whole.attention_calls
    assert (whole.host_syncs, whole.uploads) == (ladder.host_syncs, ladder.uploads) == (0, 1)


def test_flags_and_plans_were_counted_alike() -> None:
    for name, tower in stored_counts().towers.items():
        if row := ROWS.get(name):
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


@pytest.mark.slow
def test_rows_are_counted_as_they_are_stored(device: CountingDevice) -> None:
    if stored_plans().torch_version != torch.__version__.partition("+")[0]:
        pytest.skip("counts are of another torch")
    for name, flags in towers():
        if name.startswith("best"):
            assert count_row(name, flags, device) == ROWS[name]
