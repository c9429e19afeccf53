"""vLLM's tower of Qwen2.5-VL on its CPU platform, in one process and without the rest of the engine.

Its platform is chosen, and the group of one rank stands in for a distributed one, as this release asks for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

import vlbench
from vlbench.implementations.config import MODELS
from vlbench.implementations.peers.transformers import STAGES, their_config
from vlbench_engines import require

RELEASE = "0.33"


def tower(model: str) -> vlbench.Tower:
    """vLLM's tower of one of vlbench's models, on their weights.

    Raises UsageError without this release of vLLM, and for a model of another family than Qwen2.5-VL.
    """
    known = [name for name, config in MODELS.items() if config.family == "qwen2_5_vl"]
    if model not in known:
        raise vlbench.UsageError(f"the adapter builds no {model!r}; choose one of {', '.join(known)}")
    source = require("vllm", RELEASE)

    def load(weights: Mapping[str, Tensor]) -> nn.Module:
        return _build(model, weights)

    def make(device: torch.device, dtype: torch.dtype) -> nn.Module:
        from vlbench.towers.models import drawn

        return load(drawn(MODELS[model], torch.device("cpu"), dtype)).to(device)  # its parameters are made on the host

    return vlbench.Tower(
        make, load, model, arguments=_arguments, stages=STAGES, source=f"{source}, CPU platform, without its kernels"
    )


def _arguments(pixels: Tensor, grid_thw: Tensor) -> tuple[Any, ...]:
    return pixels, grid_thw.tolist()  # as the engine has them: integers on the host


def _build(model: str, weights: Mapping[str, Tensor]) -> nn.Module:
    import vllm.platforms
    from vllm.platforms.cpu import CpuPlatform

    vllm.platforms._current_platform = CpuPlatform()  # it finds none where its wheel is one for CUDA
    from vllm.config import VllmConfig, set_current_vllm_config
    from vllm.distributed import parallel_state
    from vllm.model_executor.models.qwen2_5_vl import Qwen2_5_VisionTransformer

    parallel_state._TP = SimpleNamespace(world_size=1, rank_in_group=0)
    first = next(iter(weights.values()))
    before = torch.get_default_dtype()
    torch.set_default_dtype(first.dtype)  # as its loader does: layers ask for it
    try:
        with set_current_vllm_config(VllmConfig()), torch.device("cpu"):
            made: Any = Qwen2_5_VisionTransformer(their_config(MODELS[model]))
            loaded = made.load_weights(dict(weights).items())
            for each in made.modules():
                if method := getattr(each, "quant_method", None):
                    method.process_weights_after_loading(each)
    finally:
        torch.set_default_dtype(before)
    if lacking := sorted(dict(made.named_parameters()).keys() - loaded):
        raise vlbench.UsageError(f"vLLM loaded no {lacking[0]!r}; this adapter is for vllm {RELEASE}")
    return made
