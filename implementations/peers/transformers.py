"""transformers' towers of Qwen2-VL, Qwen2.5-VL, Qwen3-VL and Qwen3.5 for a config of ours, on the tensors of ours."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, assert_never

from ..config import ConfigError, VisionConfig
from . import PEERS, PeerError, peer

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ..output import VisionOutput
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

LEARNED_STAGES = {"pos_embed": "positions"}
"""Where there is a learned table: the look-up alone, as its weights and their sum lie in no module."""
DEEPSTACK_STAGES = {"deepstack_merger_list.*": "deepstack"}
"""Where there is deepstack."""


@peer(
    "hf-compile",
    "transformers' tower with SDPA, each block through torch.compile",
    "transformers",
    takes_plan=True,
    attention="sdpa",
    compiled=True,
)
@peer(
    "hf-flash",
    "transformers' tower with flash-attn, on CUDA in half precision; its check in fp32 takes SDPA",
    "flash-attn",
    takes_plan=True,
    on_cuda_alone=True,
    attention="flash_attention_2",
)
@peer("hf-eager", "transformers' tower, attention written out", "transformers", takes_plan=True, attention="eager")
@peer("hf-sdpa", "transformers' tower, its default attention (SDPA)", "transformers", takes_plan=True, attention="sdpa")
def build(config: VisionConfig, weights: SharedTensors, attention: str, compiled: bool = False) -> nn.Module:
    """The tower with `attention` as transformers calls it, its parameters `weights` themselves, without a copy.

    With `compiled`, each block goes through torch.compile by itself, which compiles one block and not its repetitions.
    Raises PeerError for flash-attn on a CPU.
    """
    import torch

    from ..adapted import AdaptedTower

    PEERS["hf-sdpa"].require()
    device, dtype = next((each.device, each.dtype) for each in weights.values())
    if attention == "flash_attention_2":
        if reason := PEERS["hf-flash"].inapplicable(device.type):
            raise PeerError(reason)
        attention = attention if dtype in (torch.float16, torch.bfloat16) else "sdpa"
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
    stages = stages_of(config, compiled=compiled)
    return AdaptedTower(tower, tokens=_tokens, stages=stages, prepare=partial(prepared, config))


def stages_of(config: VisionConfig, *, compiled: bool) -> dict[str, str]:
    """Which modules of their tower are which of our stages."""
    learned = LEARNED_STAGES if config.position_table else {}
    return (COMPILED_STAGES if compiled else STAGES) | learned | (DEEPSTACK_STAGES if config.deepstack_blocks else {})


def prepared(config: VisionConfig, tower: nn.Module, grid_thw: Tensor, host_lengths: bool) -> dict[str, Any]:
    """What their forward computes of the grids [items, 3], on the device, by the functions and names of its own.

    With `host_lengths` the bounds of segments are on the host, where SDPA reads their lengths; for flash-attn, whose
    kernel reads them, the longest is.
    """
    from transformers import vision_utils as theirs

    made: dict[str, Any] = {
        "cu_seqlens": theirs.get_vision_cu_seqlens(grid_thw),
        "position_ids": theirs.get_vision_position_ids(grid_thw, config.spatial_merge_size),
    }
    if config.window_size is not None:
        index, made["cu_window_seqlens"] = theirs.get_vision_window_index(
            grid_thw, config.spatial_merge_size, config.window_size, config.patch_size
        )
        made["window_index"] = index.to(grid_thw.device)
    if config.position_table:
        own: Any = tower  # which kind of resampling it was trained with is told by their class
        made["interp_indices"], made["interp_weights"] = theirs.get_vision_interpolation_indices_and_weights(
            grid_thw, own.num_grid_per_side, own.interpolation_mode, own.interpolation_align_corners,
            config.spatial_merge_size,
        )  # fmt: skip
    of_flash = getattr(tower.config, "_attn_implementation", "") == "flash_attention_2"
    for kind in ("", "window_") if host_lengths else ():
        if (bounds := made.get(f"cu_{kind}seqlens")) is None:
            continue
        if of_flash:
            made[f"max_{kind}seqlen"] = int(bounds.diff().max())
        else:
            made[f"cu_{kind}seqlens"] = bounds.cpu()
    return made


def _tokens(returned: Any) -> Tensor | VisionOutput:
    from ..output import with_features

    return with_features(returned.pooler_output, getattr(returned, "deepstack_features", None) or ())


def _uninitialised(config: VisionConfig, attention: str) -> Any:
    import torch

    theirs = their_config(config)
    theirs._attn_implementation = attention
    with torch.device("meta"):
        return their_class(config)(theirs)


def their_class(config: VisionConfig) -> Any:
    """The class of transformers' tower of the family."""
    from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VisionTransformerPretrainedModel
    from transformers.models.qwen2_vl.modeling_qwen2_vl import Qwen2VisionTransformerPretrainedModel

    match config.family:
        case "qwen2_vl":
            return Qwen2VisionTransformerPretrainedModel
        case "qwen2_5_vl":
            return Qwen2_5_VisionTransformerPretrainedModel
        case "qwen3_vl":
            from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLVisionModel

            return Qwen3VLVisionModel
        case "qwen3_5":
            from transformers.models.qwen3_5.modeling_qwen3_5 import Qwen3_5VisionModel

            return Qwen3_5VisionModel
        case _:
            assert_never(config.family)


def their_config(config: VisionConfig) -> Any:
    """transformers' own configuration with the sizes of `config`. Raises PeerError for what it does not compute."""
    from transformers.models.qwen2_5_vl.configuration_qwen2_5_vl import Qwen2_5_VLVisionConfig
    from transformers.models.qwen2_vl.configuration_qwen2_vl import Qwen2VLVisionConfig

    try:
        config.require_family("transformers' tower")
    except ConfigError as error:
        raise PeerError(str(error)) from None
    sizes = ("depth", "num_heads", "patch_size", "temporal_patch_size", "spatial_merge_size", "in_channels")
    shared: dict[str, Any] = {name: getattr(config, name) for name in sizes}
    widths: dict[str, Any] = {
        name: getattr(config, name) for name in ("hidden_size", "intermediate_size", "out_hidden_size")
    }
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
            windows: dict[str, Any] = {
                "fullatt_block_indexes": list(config.fullatt_block_indexes),
                "window_size": config.window_size,
            }
            return Qwen2_5_VLVisionConfig(**widths, **windows, **shared)
        case "qwen3_vl":
            from transformers.models.qwen3_vl.configuration_qwen3_vl import Qwen3VLVisionConfig

            return Qwen3VLVisionConfig(
                num_position_embeddings=config.position_table,
                deepstack_visual_indexes=list(config.deepstack_blocks),
                **widths,
                **shared,
            )
        case "qwen3_5":
            from transformers.models.qwen3_5.configuration_qwen3_5 import Qwen3_5VisionConfig

            return Qwen3_5VisionConfig(**widths, num_position_embeddings=config.position_table, **shared)
        case _:
            assert_never(config.family)
