"""The long table of every sample."""

from __future__ import annotations

import pytest

from tests.record.records import REFERENCE_SECONDS, group, results, timed, trial
from tests.record.test_files import FULL
from vlbench.record.samples import samples_of

ROUNDS = len(REFERENCE_SECONDS)


def test_it_gives_a_row_per_variant_trial_and_round() -> None:
    table = samples_of(FULL)
    assert list(table.columns) == [
        *("scenario", "point", "model", "dtype", "device", "variant", "flags", "trial", "exactness", "passed"),
        *("fp32_error", "timed_error", "aten_operations", "attention_calls", "state", "round", "seconds", "ratio"),
    ]
    assert table.groupby(["variant", "trial"], sort=False).size().to_dict() == {
        (name, number): rows
        for number in (0, 1)
        for name, rows in (("baseline", ROUNDS), ("rope-cache", ROUNDS), ("window-sort", 1), ("host-grid", 1))
    }
    assert table["seconds"].dtype == table["ratio"].dtype == table["fp32_error"].dtype == "float64"


def test_it_takes_the_ratio_to_the_reference_tower_of_the_same_round() -> None:
    rows = samples_of(FULL).dropna(subset="seconds")
    for (name, number), part in rows.groupby(["variant", "trial"]):
        factor = 1.0 if name == "baseline" else (0.5, 0.25)[number]
        assert list(part["round"]) == [*range(ROUNDS)]
        assert list(part["seconds"]) == pytest.approx([factor * one for one in REFERENCE_SECONDS], rel=1e-11)
        assert list(part["ratio"]) == [factor] * ROUNDS
        assert set(part["state"]) == {"warm"}


def test_it_says_what_is_known_of_variants_without_times() -> None:
    table = samples_of(FULL)
    rows = table[table["trial"] == 0].set_index("variant")
    assert not rows.loc["window-sort", "passed"]
    assert rows.loc["window-sort", "fp32_error"] == 0.31
    assert rows[["seconds", "ratio", "round", "state", "passed", "aten_operations"]].isna().loc["host-grid"].all()
    assert rows["flags"].isna().loc["baseline"].all()


def test_it_has_its_columns_even_without_groups() -> None:
    assert "seconds" in samples_of(results())


def test_it_has_the_same_dtypes_whatever_there_is() -> None:
    plainer = results(group(trial(timed("rope-cache", 0.5))))
    full, plain = (samples_of(each).dtypes.to_dict() for each in (FULL, plainer))
    assert full == plain
