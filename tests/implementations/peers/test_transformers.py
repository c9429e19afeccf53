"""transformers' towers are the reference tower's equals, on the reference tower's own tensors."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tests.implementations.grids import MIXED, Batch
from tests.implementations.test_stage import Recorder
from tests.implementations.towers import (
    NARROW,
    NARROW_2_5,
    expected,
    joined,
    name_of,
    pixels_of,
    relative_error,
    run,
    weights_of,
)
from vlbench.counting_device import CountingDevice
from vlbench.implementations.adapted import AdaptedTower
from vlbench.implementations.config import MODELS, VisionConfig
from vlbench.implementations.peers import PEERS, PeerError
from vlbench.implementations.stage import listen
from vlbench.implementations.weights import SharedTensors, parameter_shapes

pytest.importorskip("transformers")

families = pytest.mark.parametrize("config", NARROW, ids=name_of)


@families
def test_frequencies_stay_in_fp32(config: VisionConfig) -> None:
    tower = PEERS["hf-sdpa"].build(config, weights_of(config, torch.bfloat16))
    assert {buffer.dtype for buffer in tower.buffers()} == {torch.float32}
    assert run(tower, config, MIXED).dtype is torch.bfloat16


@pytest.mark.parametrize("config", MODELS.values(), ids=name_of)
def test_every_model_can_be_built_without_memory(config: VisionConfig) -> None:
    shapes = parameter_shapes(config)
    weights = SharedTensors({key: torch.empty(shape, device="meta") for key, shape in shapes.items()})
    tower = PEERS["hf-sdpa"].build(config, weights)
    assert {each.device.type for each in (*tower.parameters(), *tower.buffers())} == {"meta"}


@families
def test_stages(config: VisionConfig) -> None:
    recorder = Recorder()
    with listen(recorder):
        run(PEERS["hf-sdpa"].build(config, weights_of(config)), config, MIXED)
    lines = ["forward", "  patch_embed", *["  positions"] * bool(config.position_table)]
    for i in range(config.depth):
        lines += [f"  block[{i}].{half}" for half in ("attention", "mlp") for _ in range(2)]
        lines += ["  deepstack"] * (i in config.deepstack_blocks)
    assert recorder.lines == [*lines, "  merger"]


def test_a_tower_without_windows_is_refused() -> None:
    config = replace(NARROW_2_5, window_size=None)
    with pytest.raises(PeerError, match="has no attention windows"):
        PEERS["hf-sdpa"].build(config, weights_of(NARROW_2_5))


def test_flash_attention_is_for_cuda_in_half_precision() -> None:
    peer = PEERS["hf-flash"]
    assert peer.package == "flash-attn"
    with pytest.raises(PeerError, match=r"^hf-flash attends on CUDA alone; choose hf-sdpa, or --device cuda$"):
        peer.make(NARROW_2_5, weights_of(NARROW_2_5))
    with CountingDevice("ghost") as device:
        shapes = {key: device.pixels(tuple(each.shape), each.dtype) for key, each in weights_of(NARROW_2_5).items()}
        tower = peer.make(NARROW_2_5, SharedTensors(shapes))
    assert isinstance(tower, AdaptedTower)
    assert tower.module.config._attn_implementation == "sdpa"  # in fp32, for its check


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_compiled_blocks() -> None:
    """One block, one batch: the compilation takes seconds."""
    config = replace(NARROW_2_5, name="one block", depth=1, fullatt_block_indexes=(0,))
    batch: Batch = ((1, 4, 6),)
    tower, recorder = PEERS["hf-compile"].build(config, weights_of(config)), Recorder()
    before = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    tokens: Tensor = run(tower, config, batch)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > before
    assert relative_error(tokens, expected(config, batch)) < 1e-5
    with listen(recorder):
        run(tower, config, batch)
    assert recorder.lines == ["forward", "  patch_embed", "  block[0].compiled", "  merger"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@families
def test_a_plan_handed_in_gives_the_same_bits(config: VisionConfig, dtype: torch.dtype) -> None:
    tower = PEERS["hf-sdpa"].build(config, weights_of(config, dtype))
    pixels, grids = pixels_of(config, MIXED).to(dtype), torch.tensor(MIXED)
    with torch.inference_mode():
        inside = joined(tower(pixels, grids))
        for host_lengths in (False, True):
            plan = tower.plan(grids, host_lengths=host_lengths)
            assert not {key for key, each in plan.items() if each.device != pixels.device}
            for _ in range(2):  # their forward takes what it is handed out of its own arguments alone
                assert torch.equal(joined(tower(pixels, grids, plan=plan)), inside)


@families
def test_for_flash_attn_the_longest_segment_is_on_the_host_and_their_bounds_are_not(config: VisionConfig) -> None:
    tower = PEERS["hf-sdpa"].build(config, weights_of(config))
    tower.module.config._attn_implementation = "flash_attention_2"  # type: ignore[union-attr]
    plan = tower.plan(torch.tensor(MIXED), host_lengths=True)  # type: ignore[operator]
    assert plan["max_seqlen"] == max(h * w for _, h, w in MIXED)
    assert (
        plan.get("max_window_seqlen") == ((config.window_size or 0) // config.patch_size) ** 2 or not config.window_size
    )
    assert isinstance(plan["cu_seqlens"], Tensor)
