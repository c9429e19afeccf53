"""Real towers, transformers' and our own: full size without weights, and narrow with the bits of a plain CPU run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from vlbench.counting_device import CountingDevice
from vlbench.implementations import build_tower
from vlbench.implementations.config import MODELS
from vlbench.implementations.output import VisionOutput, unpack
from vlbench.implementations.stage import listen
from vlbench.implementations.weights import SharedTensors, parameter_shapes, random_weights
from vlbench.record.counts import Counts

GRID = torch.tensor([[1, 36, 36]])
WINDOWS, FRAMES, DEPTH, FULL = 25, 1, 32, 4
ATTENTION_CALLS = WINDOWS * (DEPTH - FULL) + FRAMES * FULL  # 704


def transformers_tower(heads: int, intermediate: int, dtype: torch.dtype, depth: int = DEPTH) -> nn.Module:
    transformers = pytest.importorskip("transformers.models.qwen2_5_vl.modeling_qwen2_5_vl")
    config = transformers.Qwen2_5_VLVisionConfig(
        depth=depth,
        hidden_size=80 * heads,
        intermediate_size=intermediate,
        num_heads=heads,
        out_hidden_size=3584,
        fullatt_block_indexes=[7, 15, 23, 31],
    )
    config._attn_implementation = "sdpa"
    tower: nn.Module = transformers.Qwen2_5_VisionTransformerPretrainedModel(config).to(dtype)
    return tower.eval()


def count_transformers(
    mode: str, dtype: torch.dtype, heads: int = 16, intermediate: int = 3420, depth: int = DEPTH, thw: Tensor = GRID
) -> Counts:
    with CountingDevice(mode) as device, torch.inference_mode():  # type: ignore[arg-type]
        tower = device.build(lambda: transformers_tower(heads, intermediate, dtype, depth))
        pixels, grid = device.pixels((int(thw.prod()), 1176), dtype), device.upload(thw)
        with device.count() as counter:
            tower(pixels, grid)
    return counter.report


# As a plain count of ATen calls gives 1,800 and 2,058: two `_unsafe_view` in each ask nothing of a GPU, and in fp32
# `inv_freq.to(device)` copies nothing, since it is there already.
@pytest.mark.parametrize(
    ("dtype", "operations", "backend"), [(torch.float32, 1797, "efficient"), (torch.bfloat16, 2056, "cudnn")]
)
def test_transformers_qwen2_5_vl_7b(dtype: torch.dtype, operations: int, backend: str) -> None:
    report = count_transformers("ghost", dtype)
    total = report.total
    assert total.attention_calls == ATTENTION_CALLS
    assert total.device_operations == operations
    assert report.key.attention_backend == backend
    # 101 calls read values back: one of them, repeat_interleave, twice.
    assert total.read_backs == 102
    assert sum(c.times for c in report.causes if c.event == "read-back" and "repeat_interleave" in c.operation) == 2
    assert (total.uploads, total.implicit_uploads) == (2, 4)
    assert total.host_syncs == 102 + 2 + 4
    assert report.complete
    assert sum(c.times for c in report.causes if "lengths.tolist()" in str(c.where)) == 3 * DEPTH


def test_transformers_tower_keeps_its_bits_and_its_counts() -> None:
    """Four heads of 80 and nine blocks, one of them with full attention: every operation of the 7B tower, computed."""
    torch.manual_seed(0)
    tower = transformers_tower(4, 864, torch.float32, 9)
    generator = torch.Generator().manual_seed(0)
    thw = torch.tensor([[1, 8, 12]])
    pixels = torch.randn((96, 1176), generator=generator)
    with torch.inference_mode():
        expected = tower(pixels, thw).pooler_output
    with CountingDevice("shadow") as device, torch.inference_mode():
        tower.to("cuda")
        x, grid = device.pixels((96, 1176), torch.float32, seed=0), device.upload(thw)
        with device.count() as counter:
            result = tower(x, grid).pooler_output
        assert torch.equal(device.download(result), expected)
    ghost = count_transformers("ghost", torch.float32, 4, 864, 9, thw)
    assert counter.report.operations == ghost.operations
    assert counter.report.total == ghost.total
    assert counter.report.peak_live_bytes == ghost.peak_live_bytes


def ghost_weights(device: CountingDevice, name: str, dtype: torch.dtype) -> SharedTensors:
    shapes = parameter_shapes(MODELS[name])
    return SharedTensors({key: device.pixels(tuple(shape), dtype) for key, shape in shapes.items()})


def count_own(mode: str, name: str, dtype: torch.dtype, flags: list[str] | None) -> tuple[Counts, Tensor]:
    config = MODELS[name]
    with CountingDevice(mode) as device, torch.inference_mode():  # type: ignore[arg-type]
        if mode == "ghost":
            weights = ghost_weights(device, name, dtype)
        else:
            made = random_weights(config, dtype=dtype)
            weights = SharedTensors({key: device.upload(tensor) for key, tensor in made.items()})
        tower = build_tower(config, flags, weights)
        pixels = device.pixels((1296, config.patch_dim), dtype)
        with device.count() as counter, listen(counter):
            result = tower(pixels, GRID)
        return counter.report, device.download(result.tokens if isinstance(result, VisionOutput) else result)


def attention_syncs(report: Counts) -> int:
    return sum(tally.host_syncs for stage, tally in report.stages.items() if stage.endswith(".attention"))


def test_the_reference_tower_at_7b_waits_4224_times_in_attention() -> None:
    """Bounds on the device: q, k and v each sliced by two of them, for each of 704 segments."""
    report, result = count_own("ghost", "qwen2.5-vl-7b", torch.bfloat16, None)
    assert result.shape == (324, 3584)
    assert report.total.attention_calls == ATTENTION_CALLS
    assert attention_syncs(report) == 6 * ATTENTION_CALLS == 4224
    assert report.complete


def test_flags_take_syncs_away_and_bring_them() -> None:
    flags: dict[tuple[str, ...], Callable[[int], int]] = {
        (): lambda calls: 6 * calls,
        ("sdpa-prealloc",): lambda calls: 8 * calls,  # writing into a slice reads its two bounds as well
        ("host-seqlens",): lambda calls: 0,
    }
    for chosen, syncs in flags.items():
        report, _ = count_own("ghost", "qwen2.5-vl-tiny", torch.bfloat16, list(chosen))
        assert attention_syncs(report) == syncs(report.total.attention_calls)


@pytest.mark.parametrize("name", ["qwen2-vl-tiny", "qwen2.5-vl-tiny", "qwen3-vl-tiny", "qwen3.5-tiny"])
def test_own_towers_keep_their_bits_and_their_counts(name: str) -> None:
    shadow, result = count_own("shadow", name, torch.float32, None)
    ghost, _ = count_own("ghost", name, torch.float32, None)
    assert shadow.model_copy(update={"key": ghost.key}) == ghost
    config = MODELS[name]
    plain = build_tower(config, None, random_weights(config))
    pixels = torch.randn((1296, config.patch_dim), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(unpack(plain(pixels, GRID))["tokens"], result)


@pytest.mark.slow
def test_the_7b_tower_fits_a_small_runner() -> None:
    """In a process of its own: a tower of 1.3 GB of weights costs less than half a gigabyte beyond the imports."""
    pytest.importorskip("transformers")
    code = (
        "import resource, torch; from tests.counting_device.test_towers import count_transformers;"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss;"
        "count_transformers('ghost', torch.bfloat16);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    kilobytes = int(done.stdout.split()[-1]) / (1024 if sys.platform == "darwin" else 1)
    assert kilobytes < 500_000
