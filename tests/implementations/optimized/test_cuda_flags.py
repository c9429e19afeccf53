"""Flags that mean something on CUDA alone, computed without a GPU: a device that says it is CUDA, over the CPU."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from vlbench.counting_device import CountingDevice
from vlbench.implementations import build_tower
from vlbench.implementations.config import MODELS
from vlbench.implementations.optimized import (
    OPTIMIZATIONS,
    PRESETS,
    Exactness,
    FlagSet,
    preset_flags,
    with_requirements,
)
from vlbench.implementations.optimized.seam import on_cuda
from vlbench.implementations.weights import SharedTensors, random_weights
from vlbench.record.counts import Counts
from vlbench.record.exactness import FP32_LIMITS

MODEL = "qwen2.5-vl-tiny"
CONFIG = MODELS[MODEL]
GRIDS = torch.tensor([[1, 10, 6], [2, 18, 14], [1, 8, 8], [1, 8, 8]])
PIXELS = torch.randn((int(GRIDS.prod(1).sum()), CONFIG.patch_dim), generator=torch.Generator().manual_seed(0))
CUDA_ALONE = [flag for flag, known in OPTIMIZATIONS.items() if known.inapplicable(CONFIG, "cpu")]
CHOICES = {
    flag: with_requirements([flag]) for flag, known in OPTIMIZATIONS.items() if not known.inapplicable(CONFIG, "cuda")
}
CHOICES |= {name: preset_flags(name, CONFIG, "cuda")[0] for name in PRESETS if name != "baseline"}


@pytest.fixture(scope="module")
def device() -> Iterator[CountingDevice]:
    with CountingDevice("shadow") as opened:
        yield opened


@pytest.fixture(scope="module")
def weights(device: CountingDevice) -> SharedTensors:
    return SharedTensors({key: device.upload(tensor) for key, tensor in random_weights(CONFIG).items()})


@pytest.fixture(scope="module")
def expected() -> Tensor:
    """The reference tower's result on a plain CPU."""
    with torch.inference_mode():
        result: Tensor = build_tower(CONFIG, None, random_weights(CONFIG))(PIXELS, GRIDS)
    return result


def run(device: CountingDevice, weights: SharedTensors, flags: frozenset[str] | None) -> tuple[Tensor, Counts]:
    """The second forward, so that caches are read; and the first must have the same bits."""
    with torch.inference_mode():
        tower, pixels = build_tower(CONFIG, flags, weights), device.upload(PIXELS)
        first = device.download(tower(pixels, GRIDS))
        with device.count() as counter:
            second = device.download(tower(pixels, GRIDS))
    assert torch.equal(first, second)
    return second, counter.report


def test_there_are_flags_that_a_cpu_cannot_run() -> None:
    assert set(CUDA_ALONE) >= {"pinned-h2d", "inverse-pinned", "packed-h2d", "varlen", "device-pos-ids"}


def test_the_reference_tower_keeps_its_bits(device: CountingDevice, weights: SharedTensors, expected: Tensor) -> None:
    assert torch.equal(run(device, weights, None)[0], expected)


@pytest.mark.parametrize("name", CHOICES)
def test_each_choice_against_the_reference_tower(
    name: str, device: CountingDevice, weights: SharedTensors, expected: Tensor
) -> None:
    flags = FlagSet(CHOICES[name], CONFIG, "cuda")
    result, counts = run(device, weights, flags.names)
    assert counts.complete
    error = float((result - expected).norm() / expected.norm())
    if flags.exactness() is Exactness.BIT_EXACT:
        assert torch.equal(result, expected), error
    else:
        assert error <= FP32_LIMITS[str(flags.exactness())]
    if name in CUDA_ALONE and on_cuda in OPTIMIZATIONS[name].applies:  # they move the same bytes in another way
        assert flags.exactness() is Exactness.BIT_EXACT


def test_pinned_uploads_do_not_wait(device: CountingDevice, weights: SharedTensors) -> None:
    _, pageable = run(device, weights, frozenset({"host-grid", "host-seqlens", "device-pos-ids"}))
    _, pinned = run(device, weights, frozenset({"host-grid", "host-seqlens", "device-pos-ids", "pinned-h2d"}))
    assert pageable.total.host_syncs == pageable.total.uploads == 1
    assert pinned.total.host_syncs == 0
    assert pinned.total.pinned_uploads == pinned.total.uploads == 1


def test_packed_uploads_are_one(device: CountingDevice, weights: SharedTensors) -> None:
    several = frozenset({"host-grid", "host-inverse", "no-empty-windows", "device-pos-ids"})
    _, apart = run(device, weights, several)
    _, packed = run(device, weights, several | {"packed-h2d"})
    assert (apart.total.uploads, packed.total.uploads) == (4, 1)
    assert packed.total.upload_bytes == apart.total.upload_bytes
