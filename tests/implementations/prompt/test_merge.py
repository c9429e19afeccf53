from __future__ import annotations

import pytest
import torch
from hypothesis import given, strategies as st
from torch import Tensor

from vlbench.implementations.config import MODELS
from vlbench.implementations.optimized import (
    OPTIMIZATIONS,
    PRESETS,
    FlagError,
    FlagSet,
    OptimizedVisionTower,
    preset_flags,
)
from vlbench.implementations.prompt.merge import Merge, Prompt, assign_by_mask, copy_to_indices, merge

PLACEHOLDER, WIDTH = 7, 3
CONFIG = MODELS["qwen2.5-vl-tiny"]

ways = pytest.mark.parametrize("way", [merge.naive_way, *(merge.way_of([flag]) for flag in merge.flags)])
# Text and runs of placeholders, in any order: no image, images side by side, one at either end.
pieces = st.lists(
    st.one_of(
        st.integers(1, 6).map(lambda tokens: [PLACEHOLDER] * tokens),
        st.lists(st.integers(0, 20).filter(lambda token: token != PLACEHOLDER), min_size=1, max_size=5),
    ),
    min_size=1,
    max_size=6,
)


def prompt_of(ids: list[int]) -> tuple[Prompt, Tensor, Tensor]:
    """A prompt, its embeddings (negative), and a vision token (positive) for each placeholder."""
    tensor, count = torch.tensor(ids), ids.count(PLACEHOLDER)
    embeddings = -1.0 - torch.arange(len(ids) * WIDTH).view(len(ids), WIDTH)
    return Prompt(tensor, tensor.clone(), PLACEHOLDER), embeddings, 1.0 + torch.arange(count * WIDTH).view(count, WIDTH)


@ways
@given(pieces=pieces)
def test_vision_tokens_take_the_placeholders_in_order_and_text_stays(way: Merge, pieces: list[list[int]]) -> None:
    ids = [token for piece in pieces for token in piece]
    prompt, embeddings, vision = prompt_of(ids)
    rows = iter(vision.tolist())
    expected = [
        next(rows) if token == PLACEHOLDER else row for token, row in zip(ids, embeddings.tolist(), strict=True)
    ]
    merged = way(embeddings, prompt, vision)
    assert merged.tolist() == expected
    assert merged.data_ptr() == embeddings.data_ptr()


@pytest.mark.parametrize("way", [assign_by_mask, copy_to_indices])
@pytest.mark.parametrize("rows", [1, 3])
def test_another_number_of_vision_tokens_is_an_error(way: Merge, rows: int) -> None:
    prompt, embeddings, _ = prompt_of([1, PLACEHOLDER, PLACEHOLDER, 2])
    with pytest.raises((RuntimeError, IndexError)):
        way(embeddings, prompt, torch.ones(3 if rows == 3 else 0, WIDTH))


def test_what_nobody_looks_at_is_dropped() -> None:
    """The price of the masked scatter: one vision token too many is no error."""
    prompt, embeddings, _ = prompt_of([1, PLACEHOLDER, 2])
    merged = merge.way_of(["merge-masked-scatter"])(embeddings, prompt, torch.tensor([[1.0] * WIDTH, [2.0] * WIDTH]))
    assert merged[1].tolist() == [1.0] * WIDTH


@pytest.mark.parametrize("flag", merge.flags)
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_no_tower_takes_its_flags(flag: str, device: str) -> None:
    words = f"^{flag} is not part of the tower; measure it with --seam merge$"
    with pytest.raises(FlagError, match=words):
        FlagSet(frozenset({flag}), CONFIG, device)
    with pytest.raises(FlagError, match=words):
        OptimizedVisionTower(CONFIG, [flag], device)
    assert OPTIMIZATIONS[flag].inapplicable(CONFIG, device) == "it is not part of the tower"
    assert OPTIMIZATIONS[flag].inapplicable(CONFIG, device, alone=True) is None
    for preset in PRESETS:
        kept, left_out = preset_flags(preset, CONFIG, device)
        assert flag not in kept | left_out.keys()
