"""Every flag alone, every pair and every preset keeps its promise. All come from the registry."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations

import pytest
import torch
from hypothesis import given, settings
from torch import Tensor, nn

from tests.implementations.grids import AWKWARD, MIXED, Batch, batches
from tests.implementations.optimized.exactness import (
    NEEDS_CUDA,
    check_exactness,
    device_kind,
    marks,
    skip_without_gpu,
    why_not,
)
from tests.implementations.towers import (
    NARROW,
    NARROW_2,
    NARROW_2_5,
    NARROW_3,
    TINY,
    expected,
    name_of,
    reference_tower,
    relative_error,
    run,
    weights_of,
)
from vlbench.implementations import build_tower
from vlbench.implementations.config import VisionConfig
from vlbench.implementations.optimized import (
    OPTIMIZATIONS,
    USUAL,
    Exactness,
    FlagError,
    FlagSet,
    preset_flags,
    with_requirements,
)
from vlbench.implementations.optimized.patch_embed import Embed, convolve, embedding

ALONE = [(config, flag) for config in NARROW for flag in OPTIMIZATIONS if why_not([flag], config) is None]
SINGLE = [pytest.param(config, flag, marks=marks(flag)) for config, flag in ALONE]
NAMED = [flag for flag, known in OPTIMIZATIONS.items() if known.only_named and known.seam.in_tower]
"""They stand beside presets, and in no other pair."""
OF_QWEN3 = {flag for model, flag in ALONE if model is NARROW_3} - {flag for model, flag in ALONE if model is NARROW_2}
PAIRS = [
    (config, pair)
    for config in (NARROW_2, NARROW_2_5, NARROW_3)
    for pair in combinations([flag for flag in OPTIMIZATIONS if flag not in NAMED], 2)
    if why_not(pair, config) is None
]
ONE_SEAM = [
    pair
    for pair in combinations(OPTIMIZATIONS, 2)
    if OPTIMIZATIONS[pair[0]].seam is OPTIMIZATIONS[pair[1]].seam and OPTIMIZATIONS[pair[0]].seam.in_tower
]


def test_no_flag_is_left_out() -> None:
    in_tower = {name for name, flag in OPTIMIZATIONS.items() if flag.seam.in_tower}
    assert {flag for _, flag in ALONE} == in_tower
    assert {flag for _, pair in PAIRS for flag in pair} | set(NAMED) == in_tower
    positions = {"pos-embed-vectorized", "pos-embed-cache", "pos-embed-triton"}
    assert {*positions, "deepstack-dict", "deepstack-prealloc"} == OF_QWEN3


@pytest.mark.parametrize(("config", "flag"), SINGLE, ids=name_of)
@given(batch=batches)
@settings(max_examples=3)
def test_a_flag_alone(config: VisionConfig, flag: str, batch: Batch) -> None:
    check_exactness([flag], config, [batch])


@pytest.mark.parametrize(("config", "flag"), SINGLE, ids=name_of)
def test_a_flag_alone_on_awkward_batches(config: VisionConfig, flag: str) -> None:
    check_exactness([flag], config, AWKWARD)


@pytest.mark.slow
@pytest.mark.parametrize(("config", "flag"), dict.fromkeys((config, pair[0]) for config, pair in PAIRS), ids=name_of)
def test_a_pair_of_flags(config: VisionConfig, flag: str) -> None:
    """Each pair by itself. `test_cuda_flags` has many pairs in a tower: by default all of Qwen2.5-VL, and of Qwen3-VL
    those that do not change the result; marked slow are the rest, Qwen2-VL, pinned memory and what is compiled."""
    for pair in (pair for each, pair in PAIRS if (each, pair[0]) == (config, flag)):
        check_exactness(pair, config, [MIXED])


@pytest.mark.parametrize("pair", ONE_SEAM, ids="+".join)
def test_two_flags_of_one_seam_exclude_each_other(pair: tuple[str, str]) -> None:
    chosen = with_requirements(pair)
    flags = [OPTIMIZATIONS[name] for name in chosen]
    config = next(each for each in NARROW if not any(flag.inapplicable(each, "cuda") for flag in flags))
    first, second = sorted(pair)
    with pytest.raises(FlagError, match=rf"^{first} and {second} are two ways of one seam \([\w ]+\); choose one$"):
        FlagSet(chosen, config, device_kind(chosen, config))


# Presets.

presets = pytest.mark.parametrize("preset", USUAL)
devices = pytest.mark.parametrize("device", ["cpu", "cuda"])


def runnable(preset: str, config: VisionConfig, device: str) -> frozenset[str]:
    """The preset's flags; without a GPU, those that can run beside none."""
    flags, _ = preset_flags(preset, config, device)
    return flags if torch.cuda.is_available() else flags - NEEDS_CUDA


@presets
@devices
@pytest.mark.parametrize("config", NARROW, ids=name_of)
def test_a_preset(config: VisionConfig, device: str, preset: str) -> None:
    check_exactness(runnable(preset, config, device), config, AWKWARD)


@presets
@pytest.mark.parametrize("flag", [flag for flag in NAMED if not OPTIMIZATIONS[flag].uncounted])
@pytest.mark.parametrize("config", NARROW, ids=name_of)
def test_a_flag_that_is_only_named_beside_a_preset(config: VisionConfig, flag: str, preset: str) -> None:
    flags = runnable(preset, config, "cpu") | {flag}
    if why_not(flags, config) is None:
        check_exactness(flags, config, [MIXED])


@presets
@pytest.mark.parametrize("config", TINY, ids=name_of)
def test_a_preset_in_bf16_is_as_close_to_fp32_as_the_reference_tower_in_bf16(config: VisionConfig, preset: str) -> None:
    flags, _ = preset_flags(preset, config, "cpu")
    half = torch.bfloat16
    tower = build_tower(config, flags, weights_of(config, half))
    own = relative_error(run(reference_tower(config, half), config, MIXED), expected(config, MIXED))
    assert relative_error(run(tower, config, MIXED), expected(config, MIXED)) <= 1.5 * own


# A new flag.


@contextmanager
def only_here(flag: str) -> Iterator[None]:
    """Take `flag` out of the registry again."""
    try:
        yield
    finally:
        seam = OPTIMIZATIONS.pop(flag).seam
        del seam._flags[flag]


def shifted_by_rounding(proj: nn.Conv3d, pixels: Tensor) -> Tensor:
    return convolve(proj, pixels) * (1 + 2e-7)


def shifted_by_more(proj: nn.Conv3d, pixels: Tensor) -> Tensor:
    return convolve(proj, pixels) * (1 + 1e-3)


def test_one_decorated_function_is_a_flag() -> None:
    before = list(OPTIMIZATIONS)
    with only_here("twice-embedded"):

        @embedding.optimization("twice-embedded", removes="nothing", exactness=Exactness.BIT_EXACT, source="this test")
        def embed(proj: nn.Conv3d, pixels: Tensor) -> Tensor:
            calls.append(len(pixels))
            return convolve(proj, pixels)

        calls: list[int] = []
        assert list(OPTIMIZATIONS) == [*before, "twice-embedded"]
        assert OPTIMIZATIONS["twice-embedded"].seam is embedding
        check_exactness(["twice-embedded"], NARROW[0], [MIXED])
        assert calls
        with pytest.raises(FlagError, match=r"^patch-matmul and twice-embedded are two ways of one seam"):
            FlagSet(frozenset({"patch-matmul", "twice-embedded"}), NARROW[0], "cpu")
    assert list(OPTIMIZATIONS) == before
    assert "twice-embedded" not in embedding.flags


@pytest.mark.parametrize(
    ("way", "promise"), [(shifted_by_rounding, Exactness.BIT_EXACT), (shifted_by_more, Exactness.REASSOCIATED)]
)
def test_a_flag_that_breaks_its_promise_is_caught(way: Embed, promise: Exactness) -> None:
    name = f"breaks-{promise}"
    with only_here(name):
        embedding.optimization(name, removes="nothing", exactness=promise, source="this test")(way)
        with pytest.raises(AssertionError):
            check_exactness([name], NARROW[0], [MIXED])


def test_the_gpu_flags_are_skipped_only_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    skip_without_gpu(NEEDS_CUDA)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    skip_without_gpu(OPTIMIZATIONS.keys() - NEEDS_CUDA)
    with pytest.raises(pytest.skip.Exception):
        skip_without_gpu(NEEDS_CUDA)
