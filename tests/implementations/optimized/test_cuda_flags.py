"""Flags that mean something on CUDA alone, computed without a GPU: a device that says it is CUDA, over the CPU."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import combinations

import pytest
import torch
from torch import Tensor

from tests.implementations.grids import MIXED
from tests.implementations.optimized.covering import covering, pairs_of
from tests.implementations.optimized.exactness import BUDGET, NEEDS_CUDA, check_exactness, tower_with
from tests.implementations.towers import (
    NARROW,
    NARROW_2_5,
    NARROW_3,
    NARROW_3_5,
    expected,
    name_of,
    pixels_of,
    relative_error,
    run as run_on_the_host,
    weights_of,
)
from vlbench.counting_device import CountingDevice
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
from vlbench.implementations.optimized.seam import on_cuda
from vlbench.implementations.output import VisionOutput
from vlbench.implementations.weights import SharedTensors
from vlbench.record.counts import Counts
from vlbench.record.exactness import FP32_LIMITS

TWO_HEADS = replace(NARROW_2_5, name="qwen2.5-vl-two-heads", hidden_size=160, num_heads=2)
CONFIGS = {each.name: each for each in (TWO_HEADS, NARROW_3, NARROW_3_5)}
"""With windows; with learned positions and deepstack; with learned positions alone."""
GRIDS = ((1, 10, 6), (2, 18, 14), (1, 8, 8), (1, 8, 8))
CUDA_ALONE = {flag for flag, known in OPTIMIZATIONS.items() if known.inapplicable(TWO_HEADS, "cpu")}


def choices(config: VisionConfig) -> dict[str, frozenset[str]]:
    """Every flag with what it needs, and the presets."""
    usable = [
        flag for flag, known in OPTIMIZATIONS.items() if not (known.inapplicable(config, "cuda") or known.uncounted)
    ]
    presets = {name: preset_flags(name, config, "cuda")[0] for name in USUAL if name != "baseline"}
    return {flag: with_requirements([flag]) for flag in usable} | presets


@pytest.fixture(scope="module")
def device() -> Iterator[CountingDevice]:
    with CountingDevice("shadow") as opened:
        yield opened
    uploaded.cache_clear()


@cache
def uploaded(device: CountingDevice, config: VisionConfig) -> SharedTensors:
    return SharedTensors({key: device.upload(tensor) for key, tensor in weights_of(config).items()})


def downloaded(device: CountingDevice, returned: Tensor | VisionOutput) -> Tensor:
    """As `joined` has it, uncounted."""
    if isinstance(returned, VisionOutput):
        return torch.stack([device.download(part) for part in (returned.tokens, *returned.parts.values())])
    return device.download(returned)


def run(
    device: CountingDevice, flags: frozenset[str] | None, config: VisionConfig = TWO_HEADS
) -> tuple[Tensor, Counts]:
    """The second forward, so that caches are read; and the first must have the same bits."""
    with torch.inference_mode():
        tower, grids = build_tower(config, flags, uploaded(device, config)), torch.tensor(GRIDS)
        pixels = device.upload(pixels_of(config, GRIDS))
        first = downloaded(device, tower(pixels, grids))
        with device.count() as counter:
            second = tower(pixels, grids)
    last = downloaded(device, second)
    assert torch.equal(first, last)
    return last, counter.report


def test_there_are_flags_that_a_cpu_cannot_run() -> None:
    assert set(CUDA_ALONE) >= {"pinned-h2d", "inverse-pinned", "packed-h2d", "varlen", "device-pos-ids"}


def test_what_the_families_have_of_their_own_is_among_the_choices() -> None:
    positions = {"pos-embed-vectorized", "pos-embed-cache", "rope-freq-table", "pos-ids-cache"}
    assert positions | {"deepstack-dict", "deepstack-prealloc"} < choices(NARROW_3).keys()
    assert positions < choices(NARROW_3_5).keys()


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_the_reference_tower_keeps_its_bits(device: CountingDevice, config: VisionConfig) -> None:
    assert torch.equal(run(device, None, config)[0], expected(config, GRIDS))


@pytest.mark.parametrize(
    ("config", "name"),
    [pytest.param(config, name, id=f"{config.name}-{name}") for config in CONFIGS.values() for name in choices(config)],
)
def test_each_choice_against_the_reference_tower(config: VisionConfig, name: str, device: CountingDevice) -> None:
    flags, wanted = FlagSet(choices(config)[name], config, "cuda"), expected(config, GRIDS)
    result, counts = run(device, flags.names, config)
    assert counts.complete
    error = float((result - wanted).norm() / wanted.norm())
    if flags.exactness() is Exactness.BIT_EXACT:
        assert torch.equal(result, wanted), error
    else:
        assert error <= FP32_LIMITS[str(flags.exactness())]
    if name in CUDA_ALONE and on_cuda in OPTIMIZATIONS[name].applies:  # they move the same bytes in another way
        assert flags.exactness() is Exactness.BIT_EXACT


UPLOADS = [
    pytest.param(TWO_HEADS, {"host-grid", "host-seqlens", "device-pos-ids"}, id="windows"),
    pytest.param(NARROW_3, {"host-grid", "host-seqlens", "device-pos-ids", "pos-embed-vectorized"}, id="positions"),
]


@pytest.mark.parametrize(("config", "flags"), UPLOADS)
def test_pinned_uploads_do_not_wait(device: CountingDevice, config: VisionConfig, flags: set[str]) -> None:
    _, pageable = run(device, frozenset(flags), config)
    _, pinned = run(device, frozenset(flags | {"pinned-h2d"}), config)
    assert pageable.total.host_syncs == pageable.total.uploads == 1
    assert pinned.total.host_syncs == 0
    assert pinned.total.pinned_uploads == pinned.total.uploads == 1


def test_packed_uploads_are_one(device: CountingDevice) -> None:
    several = frozenset({"host-grid", "host-inverse", "no-empty-windows", "device-pos-ids"})
    _, apart = run(device, several)
    _, packed = run(device, several | {"packed-h2d"})
    assert (apart.total.uploads, packed.total.uploads) == (4, 1)
    assert packed.total.upload_bytes == apart.total.upload_bytes


# Covering pairs.

COMPILED = {name for name, known in OPTIMIZATIONS.items() if known.uncounted}
CHANGING = {name for name, known in OPTIMIZATIONS.items() if known.exactness is Exactness.RESULT_CHANGING}
ROUNDING = {name for name, known in OPTIMIZATIONS.items() if known.exactness is not Exactness.BIT_EXACT}
FAMILIES = [
    pytest.param(each, marks=pytest.mark.slow if each is not NARROW_2_5 else (), id=each.name) for each in NARROW
]


def rows_of(config: VisionConfig, *, pinned: bool) -> list[frozenset[str]]:
    """Sets that hold all pairs with pinned memory, or all others; what is compiled has its own."""
    pairs = pairs_of(config, "cuda", COMPILED if pinned else COMPILED | NEEDS_CUDA)
    return covering(pair for pair in pairs if not pinned or with_requirements(pair) & NEEDS_CUDA)


def limit(row: frozenset[str], config: VisionConfig) -> float:
    """Flags that round may be as far off together as each of them alone."""
    alone = (tower_with(with_requirements([flag]), config) for flag in row & CHANGING)
    return BUDGET + 1.5 * sum(
        relative_error(run_on_the_host(each, config, GRIDS), expected(config, GRIDS)) for each in alone
    )


@pytest.mark.parametrize("config", FAMILIES)
def test_every_pair_that_can_be_built_is_in_a_set(config: VisionConfig) -> None:
    rows = [*rows_of(config, pinned=False), *rows_of(config, pinned=True)]
    assert len(rows) < 40
    covered = {pair for row in rows for pair in combinations(sorted(row), 2)}
    for pair in combinations(sorted(OPTIMIZATIONS.keys() - COMPILED), 2):
        try:
            FlagSet(with_requirements(pair), config, "cuda")
        except FlagError:
            continue
        assert pair in covered


@pytest.mark.parametrize("config", FAMILIES)
def test_every_pair_against_the_reference_tower(config: VisionConfig) -> None:
    for row in rows_of(config, pinned=False):
        result, wanted = run_on_the_host(tower_with(row, config), config, GRIDS), expected(config, GRIDS)
        if FlagSet(row, config, "cuda").exactness() is Exactness.BIT_EXACT:
            assert torch.equal(result, wanted), sorted(row)
        assert relative_error(result, wanted) <= limit(row, config), sorted(row)


@pytest.mark.parametrize("config", [NARROW_2_5, NARROW_3], ids=name_of)
@pytest.mark.parametrize("others", [ROUNDING, CHANGING], ids=["the same bits", "rounding"])
def test_every_pair_that_promises_as_much_keeps_it(config: VisionConfig, others: set[str]) -> None:
    """Where no flag of a set promises less than those of the pair."""
    for row in covering(pairs_of(config, "cuda", COMPILED | NEEDS_CUDA | others)):
        check_exactness(row, config, [MIXED])


@pytest.mark.slow
@pytest.mark.parametrize("config", [NARROW_2_5, NARROW_3], ids=name_of)
def test_every_pair_with_pinned_memory(config: VisionConfig, device: CountingDevice) -> None:
    for row in rows_of(config, pinned=True):
        result = run(device, row, config)[0]
        assert relative_error(result, expected(config, GRIDS)) <= limit(row - NEEDS_CUDA, config), sorted(row)


@pytest.mark.slow
@pytest.mark.parametrize("config", [NARROW_2_5, NARROW_3], ids=name_of)
def test_what_is_compiled_beside_every_other_flag(config: VisionConfig) -> None:
    pairs = pairs_of(config, "cuda", NEEDS_CUDA | CHANGING)
    for row in covering(pair for pair in pairs if COMPILED & {*pair}):
        check_exactness(row, config, [MIXED])
