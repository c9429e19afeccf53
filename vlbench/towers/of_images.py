"""Modules that are called with images alone, as those of SigLIP, DINOv2 and timm: what they say of themselves."""

from __future__ import annotations

from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any

from vlbench.errors import UsageError
from vlbench.implementations.preprocessing import Images

if TYPE_CHECKING:
    from torch import Tensor, nn

    from vlbench.implementations.output import VisionOutput

_NAMED = ("pixel_values", "pixels", "images", "x")
"""How the images are called where no argument has to be given."""
_WITH_DEFAULTS = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)


def takes_images(module: nn.Module) -> bool:
    """Does a call need one argument, and nothing in it is called a grid?"""
    found = [each for each in signature(module.forward).parameters.values() if each.kind in _WITH_DEFAULTS]
    if not found or any("grid" in each.name or "thw" in each.name for each in found):
        return False
    needed = [each for each in found if each.default is Parameter.empty]
    return needed == found[:1] or (not needed and found[0].name in _NAMED)


def images_of(module: nn.Module, text: str) -> Images:
    """The images that it takes: of the size that its patches were made for, or that its configuration names.

    Raises UsageError for a module that says none.
    """
    said = getattr(module, "pretrained_cfg", None) or {}
    said = said if isinstance(said, dict) else vars(said)
    sizes = (
        getattr(getattr(module, "patch_embed", None), "img_size", None),
        getattr(getattr(module, "config", None), "image_size", None),
        (said.get("input_size") or ())[-2:],
    )
    size = next((each for each in map(_sides, sizes) if each is not None), None)
    if size is None:
        raise UsageError(
            f"tower {text!r}: it is called with images alone, and says nowhere of what size; return a "
            "vlbench.Tower(make, preprocessing=vlbench.Images(SIDE)) instead"
        )
    colours = {name: tuple(said[name]) for name in ("mean", "std") if said.get(name)}
    return Images(size, **colours)


def tokens_of(returned: Any) -> Tensor | VisionOutput:
    """What a call returns, or of an output of transformers the last hidden state and what was pooled of it."""
    if not hasattr(returned, "last_hidden_state"):
        return returned  # type: ignore[no-any-return]
    from vlbench.implementations.output import VisionOutput

    pooled = getattr(returned, "pooler_output", None)
    return VisionOutput(returned.last_hidden_state, {} if pooled is None else {"pooled": pooled})


def _sides(size: object) -> tuple[int, int] | None:
    if isinstance(size, int):
        return size, size
    if isinstance(size, list | tuple) and len(size) == 2 and all(isinstance(side, int) for side in size):
        return size[0], size[1]
    return None
