"""Mistakes are found by stage, block and token; towers that are right are not called anything else."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

import vlbench
from tests.diverging.small import small_probe
from vlbench.api.diverging import Diverged
from vlbench.export.diverged import _words
from vlbench.record.divergence import Divergence

PAGE = Path(__file__).parents[2] / "docs/divergence.md"
TINY = "qwen2.5-vl-tiny"
FIRST = {
    "bf16_angles": ("block[0].rope", "item 0, frame 0, row 0, column 0, window 0"),
    "swapped_cos": ("block[0].rope", "item 0, frame 0, row 0, column 0, window 0"),
    "joined_frames": ("block[3].segments", "item 0, frame 1, row 0, column 0, window 0"),
    "unpermuted_tables": ("block[0].rope", "item 0, frame 0, row 0, column 4, window 1"),
    "shifted_window": ("block[0].segments", "item 0, frame 0, row 0, column 4, window 1"),
    "wrong_eps": ("block[0].norm1", "item 0, frame 0, row 0, column 0, window 0"),
    "another_gelu": ("block[1].mlp", "item 0, frame 0, row 0, column 0"),
    "dropped_bias": ("block[1].mlp", "item 0, frame 0, row 0, column 0, window 0"),
}
"""In float32, on the small probe."""
UNSEEN = ("wrong_eps", "another_gelu")
"""In bfloat16."""
OF_QWEN3 = ("another_gelu",)


def tower(name: str) -> str:
    return f"tests.diverging.injected:{name}"


def held(names: Iterable[str], reference: str = TINY, dtype: str = "float32") -> dict[str, Divergence]:
    """By the name of the mistake."""
    towers = [reference, *map(tower, names)]
    result = vlbench.verify(tower=towers, where=True, dtype=dtype, device="cpu", progress=False)
    assert isinstance(result, Diverged)
    assert result.exit_code == 5
    return {each.tower.partition(":")[2]: each for each in result.record}


def of_all(dtype: str) -> dict[str, Divergence]:
    return held(FIRST.keys() - {*OF_QWEN3}, dtype=dtype) | held(OF_QWEN3, "qwen3-vl-tiny", dtype)


def test_mistakes_are_found_in_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    small_probe(monkeypatch)
    found = of_all("float32")
    stages = {name: each.first("float32") for name, each in found.items()}
    assert {each.unseen("float32")[1] for each in found.values()} == {()}
    assert {name: (one.name, one.first.words) for name, one in stages.items() if one and one.first} == FIRST


def test_stages_that_neither_tower_has_are_named_before_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    small_probe(monkeypatch)
    each = held(["flat_wrong"], tower("flat"))["flat_wrong"]
    assert each.first("float32").name == "block[0].norm2"  # type: ignore[union-attr]
    unseen = tuple(f"block[0].{part}" for part in ("norm1", "rope", "segments", "qkv", "attended", "attention"))
    assert each.unseen("float32") == ("embedded", unseen)
    (words,) = [line.text for line in _words(each) if "neither tower has" in line.text]
    assert words.endswith("block[0].attention: the fault lies between embedded and block[0].norm2.")


def test_python_lines_of_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    small_probe(monkeypatch)
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    *lines, last = [line for line in block.splitlines() if line]
    exec("\n".join(lines), names)
    assert eval(last, names) is None


@pytest.mark.slow(10)
def test_mistakes_are_found_in_bf16_or_said_to_be_undecidable() -> None:
    for name, each in of_all("bfloat16").items():
        shown, hidden = each.first("bfloat16"), each.not_decidable("bfloat16")
        for stage in (each.first("float32"), hidden if name in UNSEEN else shown):
            assert stage is not None, name
            assert stage.name == FIRST[name][0], name
        assert (shown is None) is (name in UNSEEN), name
        assert (hidden is None) is (name not in UNSEEN), name
        if shown:  # a limit may stand anywhere between what is right and what is wrong
            assert shown.rms > 7 * shown.rms_limit, name


@pytest.mark.slow(5)
@pytest.mark.parametrize(
    ("model", "dtype", "others"),
    [
        (TINY, "bfloat16", ["hf-eager:{}", "{}+rope-lowp"]),
        ("qwen3-vl-tiny", "bfloat16", ["hf-eager:{}", "{}+rope-lowp"]),
        (TINY, "float32", ["{}+best"]),
    ],
)
def test_attention_that_is_written_out_and_rounded_tables_are_no_divergence(
    model: str, dtype: str, others: list[str]
) -> None:
    towers = [model, *(each.format(model) for each in others)]
    result = vlbench.verify(tower=towers, where=True, dtype=dtype, device="cpu", progress=False)
    assert [each.tower for each in result.record if each.parts or each.unmatched or each.failed] == []  # type: ignore[union-attr]
    assert result.exit_code == 0


@pytest.mark.slow(17)
def test_no_flag_that_keeps_results_is_a_divergence() -> None:
    result = vlbench.verify(model=TINY, where=True, dtype="bfloat16", device="cpu", progress=False)
    assert len(result.record) >= 20  # type: ignore[arg-type]
    assert [each.tower for each in result.record if each.parts or each.unmatched or each.failed] == []  # type: ignore[union-attr]


def test_a_tower_that_raises_or_has_other_modules_is_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    small_probe(monkeypatch)
    towers = [TINY, tower("raising"), tower("bare")]
    result = vlbench.verify(tower=towers, where=True, device="cpu", progress=False)
    raising, bare = result.record  # type: ignore[misc]
    assert raising.failed == "in float32, free-running: raised ValueError: no such thing"  # type: ignore[union-attr]
    assert "Bare has no modules patch_embed, blocks, merger" in bare.failed  # type: ignore[union-attr]
    assert result.exit_code == 6


def test_a_reference_that_is_not_finite_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    small_probe(monkeypatch)
    with pytest.raises(vlbench.IncomparableError, match=r"is not finite in float32, first in block\[2\]\.mlp"):
        vlbench.verify(tower=TINY, against=tower("nan"), where=True, device="cpu", progress=False)


def test_nan_never_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    small_probe(monkeypatch)
    result = vlbench.verify(tower=[TINY, tower("nan")], where=True, device="cpu", progress=False)
    (each,) = result.record  # type: ignore[misc]
    assert isinstance(each, Divergence)
    stage = each.first("float32")
    assert stage is not None
    assert (stage.name, stage.error, result.exit_code) == ("block[2].mlp", float("inf"), 5)
