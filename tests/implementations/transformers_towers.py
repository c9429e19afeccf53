"""transformers' own vision towers for a config of ours, with SDPA."""

from __future__ import annotations

from typing import Any

from torch import nn
from transformers.models.qwen2_5_vl.configuration_qwen2_5_vl import Qwen2_5_VLVisionConfig
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VisionTransformerPretrainedModel
from transformers.models.qwen2_vl.configuration_qwen2_vl import Qwen2VLVisionConfig
from transformers.models.qwen2_vl.modeling_qwen2_vl import Qwen2VisionTransformerPretrainedModel

from vlbench.implementations.config import VisionConfig


def transformers_config(config: VisionConfig) -> Any:
    shared: dict[str, Any] = {
        "depth": config.depth,
        "num_heads": config.num_heads,
        "patch_size": config.patch_size,
        "temporal_patch_size": config.temporal_patch_size,
        "spatial_merge_size": config.spatial_merge_size,
        "in_channels": config.in_channels,
    }
    if config.family == "qwen2_vl":
        assert config.intermediate_size % config.hidden_size == 0
        return Qwen2VLVisionConfig(
            embed_dim=config.hidden_size,
            hidden_size=config.out_hidden_size,
            mlp_ratio=config.intermediate_size // config.hidden_size,
            **shared,
        )
    return Qwen2_5_VLVisionConfig(
        hidden_size=config.hidden_size,
        intermediate_size=config.intermediate_size,
        out_hidden_size=config.out_hidden_size,
        fullatt_block_indexes=list(config.fullatt_block_indexes),
        window_size=config.window_size or 0,
        **shared,
    )


def transformers_tower(config: VisionConfig) -> nn.Module:
    """Uninitialised, in evaluation mode. Its forward returns the tokens as `pooler_output`."""
    theirs = transformers_config(config)
    theirs._attn_implementation = "sdpa"
    is_first = config.family == "qwen2_vl"
    tower: nn.Module = (
        Qwen2VisionTransformerPretrainedModel if is_first else Qwen2_5_VisionTransformerPretrainedModel
    )(theirs)
    return tower.eval()
