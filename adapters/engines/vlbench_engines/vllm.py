"""vLLM's towers on its CPU platform, in one process and without the rest of the engine.

Stood in for, as this release asks for it: the choice of the platform, which finds none where the wheel is one for CUDA;
the group of one rank; an operator of its extension that QuickGELU looks up and does not call on a CPU. Its attention is
called as the Python function that it is, not through the operator that hides it; nothing of it is compiled.
"""

from __future__ import annotations

import gc
from collections.abc import Mapping
from functools import cache
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from vlbench.implementations.config import VisionConfig
from vlbench.implementations.peers.transformers import their_config
from vlbench_engines import Engine, check_loaded

MODELS = "vllm.model_executor.models"
GELU = "gelu_quick(Tensor! result, Tensor input) -> ()"


@cache
def _ready() -> None:
    import vllm.platforms
    from vllm.platforms.cpu import CpuPlatform

    vllm.platforms._current_platform = CpuPlatform()
    from vllm.distributed import parallel_state
    from vllm.model_executor.layers.attention import mm_encoder_attention
    from vllm.v1.attention.ops.vit_attn_wrappers import torch_sdpa_wrapper

    parallel_state._TP = SimpleNamespace(world_size=1, rank_in_group=0)
    mm_encoder_attention.vit_torch_sdpa_wrapper = torch_sdpa_wrapper
    if not hasattr(torch.ops._C, "gelu_quick"):
        STOOD_IN.define(GELU)


def _build(config: VisionConfig, weights: Mapping[str, Tensor], theirs: Any) -> nn.Module:
    from vllm.config import CompilationConfig, CompilationMode, VllmConfig, set_current_vllm_config
    from vllm.model_executor.layers.rotary_embedding import _ROPE_DICT

    _ROPE_DICT.clear()  # a table is shared by all towers, and goes where the first of them goes
    gc.collect()  # it is part of a circle
    eager = VllmConfig(compilation_config=CompilationConfig(mode=CompilationMode.NONE))
    with set_current_vllm_config(eager):
        made = theirs(their_config(config))
        loaded = made.load_weights(dict(weights).items())
        for each in made.modules():
            if method := getattr(each, "quant_method", None):
                method.process_weights_after_loading(each)
    check_loaded(tower, made, loaded)
    return made


def _arguments(pixels: Tensor, grid_thw: Tensor) -> tuple[Any, ...]:
    return pixels, grid_thw.tolist()  # as the engine has them: integers on the host


STOOD_IN = torch.library.Library("_C", "FRAGMENT")
TOWERS = {
    "qwen2_vl": (f"{MODELS}.qwen2_vl", "Qwen2VisionTransformer"),
    "qwen2_5_vl": (f"{MODELS}.qwen2_5_vl", "Qwen2_5_VisionTransformer"),
    "qwen3_vl": (f"{MODELS}.qwen3_vl", "Qwen3_VisionTransformer"),
}
tower = Engine("vllm", "0.33", TOWERS, _ready, _build, _arguments)
