"""transformers' own vision towers for a config of ours, with SDPA."""

from __future__ import annotations

from torch import nn
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VisionTransformerPretrainedModel
from transformers.models.qwen2_vl.modeling_qwen2_vl import Qwen2VisionTransformerPretrainedModel

from vlbench.implementations.config import VisionConfig
from vlbench.implementations.peers.transformers import their_config as transformers_config

__all__ = ["transformers_config", "transformers_tower"]


def transformers_tower(config: VisionConfig) -> nn.Module:
    """Uninitialised, in evaluation mode. Its forward returns the tokens as `pooler_output`."""
    theirs = transformers_config(config)
    theirs._attn_implementation = "sdpa"
    is_first = config.family == "qwen2_vl"
    tower: nn.Module = (
        Qwen2VisionTransformerPretrainedModel if is_first else Qwen2_5_VisionTransformerPretrainedModel
    )(theirs)
    return tower.eval()
