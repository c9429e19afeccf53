"""Mistakes are found by stage, block and token; towers that are right are not called anything else."""

from __future__ import annotations

from functools import cache

import pytest

import vlbench
from vlbench.api.diverging import Diverged
from vlbench.record.divergence import Divergence, Stage

TINY = "qwen2.5-vl-tiny"
FIRST = {
    "bf16_angles": ("block[0].rope", "item 0, frame 0, row 0, column 0, window 0"),
    "swapped_cos": ("block[0].rope", "item 0, frame 0, row 0, column 0, window 0"),
    "joined_frames": ("block[3].segments", "item 0, frame 1, row 0, column 0, window 0"),
    "unpermuted_tables": ("block[0].rope", "item 0, frame 0, row 0, column 4, window 1"),
    "shifted_window": ("block[0].segments", "item 0, frame 0, row 0, column 4, window 1"),
    "wrong_eps": ("block[0].norm1", "item 0, frame 0, row 1, column 8, window 2"),
    "another_gelu": ("block[1].mlp", "item 0, frame 0, row 0, column 0"),
    "dropped_bias": ("block[1].mlp", "item 0, frame 0, row 0, column 0, window 0"),
}
UNSEEN = ("wrong_eps", "another_gelu")
"""In bfloat16."""


def tower(name: str) -> str:
    return f"tests.diverging.injected:{name}"


@cache
def found(dtype: str) -> dict[str, Divergence]:
    """By the name of the mistake."""
    of_qwen3 = ["another_gelu"]
    others = [name for name in FIRST if name not in of_qwen3]
    results = [
        vlbench.verify(tower=[model, *map(tower, names)], where=True, dtype=dtype, device="cpu", progress=False)
        for model, names in ((TINY, others), ("qwen3-vl-tiny", of_qwen3))
    ]
    assert all(isinstance(each, Diverged) for each in results)
    assert [each.exit_code for each in results] == [5, 5]
    return {each.tower.partition(":")[2]: each for result in results for each in result.record}  # type: ignore[union-attr]


@pytest.mark.parametrize("name", FIRST)
def test_a_mistake_is_found_in_fp32(name: str) -> None:
    stage = found("float32")[name].first("float32")
    assert stage is not None
    assert stage.first is not None
    assert (stage.name, stage.first.words) == FIRST[name]


@pytest.mark.slow(15)
@pytest.mark.parametrize("name", FIRST)
def test_a_mistake_is_found_in_bf16_or_cannot_be(name: str) -> None:
    each = found("bfloat16")[name]
    stage, hidden = each.first("bfloat16"), each.not_decidable("bfloat16")
    if name in UNSEEN:
        assert stage is None
        assert hidden is not None
        assert hidden.name == FIRST[name][0]
    else:
        assert hidden is None
        assert stage is not None
        assert stage.name == FIRST[name][0]


def largest(each: Divergence, dtype: str) -> Stage:
    return max((stage for run in each.runs if run.dtype == dtype for stage in run.stages), key=lambda one: one.share)


@pytest.mark.slow(20)
@pytest.mark.parametrize("model", [TINY, "qwen2-vl-tiny", "qwen3-vl-tiny"])
def test_towers_that_are_right_do_not_part(model: str) -> None:
    towers = [f"{model}+{each}" for each in ("rope-lowp", "best", "classic", "exact")]
    result = vlbench.verify(
        tower=[model, f"hf-sdpa:{model}", f"hf-eager:{model}", *towers],
        where=True, dtype="bfloat16", device="cpu", progress=False,
    )  # fmt: skip
    for each in result.record:
        assert isinstance(each, Divergence)
        for dtype in each.dtypes:
            assert each.first(dtype) is None, (each.tower, dtype, each.first(dtype))
        assert not each.unmatched
        assert not each.failed
    assert result.exit_code == 0


@pytest.mark.slow(30)
def test_every_flag_that_keeps_results_is_no_divergence() -> None:
    result = vlbench.verify(model=TINY, where=True, dtype="bfloat16", device="cpu", progress=False)
    assert len(result.record) >= 20  # type: ignore[arg-type]
    assert [each.tower for each in result.record if each.parts or each.unmatched or each.failed] == []  # type: ignore[union-attr]


def test_nan_never_passes() -> None:
    result = vlbench.verify(tower=[TINY, tower("nan")], where=True, device="cpu", progress=False)
    (each,) = result.record  # type: ignore[misc]
    assert isinstance(each, Divergence)
    stage = each.first("float32")
    assert stage is not None
    assert (stage.name, stage.error, result.exit_code) == ("block[2].mlp", float("inf"), 5)
