"""transformers' own Qwen2-VL and Qwen2.5-VL towers for a config of ours, on the tensors of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_never

from ..config import ConfigError, VisionConfig
from . import PeerError, peer

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ..weights import SharedTensors

STAGES = {
    "patch_embed": "patch_embed",
    "blocks.*.norm1": "block[{}].attention",
    "blocks.*.attn": "block[{}].attention",
    "blocks.*.norm2": "block[{}].mlp",
    "blocks.*.mlp": "block[{}].mlp",
    "merger": "merger",
}
"""What follows from the grid lies in no module, but for the angles, and the two sums of a block neither: both stay in
`forward`, as the angles alone would pass for the whole plan."""

RECOMPILE_LIMIT = 64
"""Each grid has its own number of segments. At torch's own limit of 8 some blocks would run eager without a word."""

COMPILED_STAGES = {"patch_embed": "patch_embed", "blocks.*": "block[{}].compiled", "merger": "merger"}
"""A hook inside a compiled block would break it into pieces."""


@peer(
    "hf-compile",
    "transformers' tower with SDPA, each block through torch.compile",
    "transformers",
    attention="sdpa",
    compiled=True,
)
@peer("hf-eager", "transformers' tower, attention written out", "transformers", attention="eager")
@peer("hf-sdpa", "transformers' tower, its default attention (SDPA)", "transformers", attention="sdpa")
def build(config: VisionConfig, weights: SharedTensors, attention: str, compiled: bool = False) -> nn.Module:
    """The tower with `attention` "sdpa" or "eager", its parameters `weights` themselves, without a copy.

    With `compiled`, each block goes through torch.compile by itself, which compiles one block and not its repetitions.
    """
    import torch

    from ..adapted import AdaptedTower

    device = next(iter(weights.values())).device
    tower = _uninitialised(config, attention)
    tower.load_state_dict(weights, assign=True)
    with torch.device(device):
        tower.rotary_pos_emb = type(tower.rotary_pos_emb)(tower.config)  # its frequencies are computed, not loaded
    if lacking := [name for name, buffer in tower.named_buffers() if buffer.device != device]:
        raise PeerError(f"this transformers keeps a buffer {lacking[0]!r} that vlbench cannot fill; install >=5.10,<6")
    tower.requires_grad_(False).eval()
    if compiled:
        torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, RECOMPILE_LIMIT)
        for block in tower.blocks:
            block.forward = torch.compile(block.forward)  # not block.compile(), which takes the block's hooks inside
    return AdaptedTower(tower, tokens=_tokens, stages=COMPILED_STAGES if compiled else STAGES)


def _tokens(returned: Any) -> Tensor:
    tokens: Tensor = returned.pooler_output
    return tokens


def _uninitialised(config: VisionConfig, attention: str) -> Any:
    import torch
    from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VisionTransformerPretrainedModel
    from transformers.models.qwen2_vl.modeling_qwen2_vl import Qwen2VisionTransformerPretrainedModel

    theirs = their_config(config)
    theirs._attn_implementation = attention
    is_first = config.family == "qwen2_vl"  # `their_config` refuses all but the two
    tower: Any = Qwen2VisionTransformerPretrainedModel if is_first else Qwen2_5_VisionTransformerPretrainedModel
    with torch.device("meta"):
        return tower(theirs)


def their_config(config: VisionConfig) -> Any:
    """transformers' own configuration with the sizes of `config`. Raises PeerError for what it does not compute."""
    from transformers.models.qwen2_5_vl.configuration_qwen2_5_vl import Qwen2_5_VLVisionConfig
    from transformers.models.qwen2_vl.configuration_qwen2_vl import Qwen2VLVisionConfig

    shared: dict[str, Any] = {
        "depth": config.depth,
        "num_heads": config.num_heads,
        "patch_size": config.patch_size,
        "temporal_patch_size": config.temporal_patch_size,
        "spatial_merge_size": config.spatial_merge_size,
        "in_channels": config.in_channels,
    }
    try:
        config.require_family("transformers' tower")
    except ConfigError as error:
        raise PeerError(str(error)) from None
    match config.family:
        case "qwen2_vl":
            return Qwen2VLVisionConfig(
                embed_dim=config.hidden_size,
                hidden_size=config.out_hidden_size,
                mlp_ratio=config.intermediate_size // config.hidden_size,
                **shared,
            )
        case "qwen2_5_vl":
            if config.window_size is None:
                raise PeerError(
                    f"{config.name} has no attention windows, and transformers' Qwen2.5-VL tower cannot do without"
                )
            return Qwen2_5_VLVisionConfig(
                hidden_size=config.hidden_size,
                intermediate_size=config.intermediate_size,
                out_hidden_size=config.out_hidden_size,
                fullatt_block_indexes=list(config.fullatt_block_indexes),
                window_size=config.window_size,
                **shared,
            )
        case "qwen3_vl":
            raise PeerError(f"{config.name}: no peer has a tower of {config.family} yet; choose another model")
        case _:
            assert_never(config.family)
