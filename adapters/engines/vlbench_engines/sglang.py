"""SGLang's towers on its CPU platform, in one process and without the rest of the engine.

Stood in for, as this release asks for it: its package of kernels, where that is not installed, by None for each of its
functions; the arguments of a server; a tensor-parallel group of one rank over gloo, as its tests of layers make it;
a compiled rotary embedding, in whose place its eager form is called, as where SGLang captures a tower in CUDA graphs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from functools import cache
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec
from typing import Any

import torch
import torch.distributed
from torch import Tensor, nn

from vlbench.implementations.config import VisionConfig
from vlbench.implementations.peers.transformers import their_config
from vlbench_engines import Engine, check_loaded

MODELS = "sglang.srt.models"
STACKED = {"gate_proj": 0, "up_proj": 1}
"""Its MLP has one linear for both, in this order."""


def _no_kernel(name: str) -> None:
    """What a module has that lacks its kernels: they are imported, and a tower calls none of them on a CPU."""
    if name.startswith("__"):
        raise AttributeError(name)


@cache
def _ready() -> None:
    os.environ["SGLANG_USE_CPU_ENGINE"] = "1"
    if find_spec("sgl_kernel") is None:
        sys.modules["sgl_kernel"] = kernels = module_from_spec(ModuleSpec("sgl_kernel", None))
        kernels.__getattr__ = _no_kernel
    from sglang.srt.distributed import parallel_state
    from sglang.srt.layers.attention import vision
    from sglang.srt.layers.rotary_embedding.utils import apply_rotary_pos_emb_native_eager
    from sglang.srt.runtime_context import get_context, get_parallel

    get_context().override_server_args(device="cpu", tp_size=1, mm_attention_backend="sdpa").install()
    get_parallel().override_permanently(tp_rank=0, attn_tp_rank=0, pp_rank=0)
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    parallel_state.init_distributed_environment(world_size=1, rank=0, local_rank=0, backend="gloo")
    parallel_state.initialize_model_parallel(backend="gloo")
    vision.apply_rotary_pos_emb = apply_rotary_pos_emb_native_eager


def _build(config: VisionConfig, weights: Mapping[str, Tensor], theirs: Any) -> nn.Module:
    from sglang.srt.layers.rotary_embedding.factory import _ROPE_DICT

    _ROPE_DICT.clear()  # a table is shared by all towers, and goes where the first of them goes
    sizes = their_config(config)
    sizes.in_chans = config.in_channels  # as Qwen2-VL's checkpoints have it
    made = theirs(sizes)
    check_loaded(tower, made, {_load(made, name, value) for name, value in weights.items()})
    return made


def _load(made: nn.Module, name: str, value: Tensor) -> str:
    """Load one weight as its classes of whole models do; the parameter that it went into."""
    from sglang.srt.model_loader.weight_utils import default_weight_loader

    name = name.replace("attn.qkv.", "attn.qkv_proj.")
    place = next(((part, shard) for part, shard in STACKED.items() if part in name), None)
    name = name.replace(place[0], "gate_up_proj") if place else name
    parameter = made.get_parameter(name)
    getattr(parameter, "weight_loader", default_weight_loader)(parameter, value, *(place[1:] if place else ()))
    return name


def _arguments(pixels: Tensor, grid_thw: Tensor) -> tuple[Any, ...]:
    return pixels, grid_thw  # as the engine has them: pixels on the device, grids on the host


TOWERS = {
    "qwen2_vl": (f"{MODELS}.qwen2_vl", "Qwen2VisionTransformer"),
    "qwen2_5_vl": (f"{MODELS}.qwen2_5_vl", "Qwen2_5_VisionTransformer"),
    "qwen3_vl": (f"{MODELS}.qwen3_vl", "Qwen3VLMoeVisionModel"),
}
tower = Engine("sglang", "0.5.23", TOWERS, _ready, _build, _arguments)
