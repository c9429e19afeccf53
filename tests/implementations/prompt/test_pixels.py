"""Every way from a still's bytes gives what preprocessing and the tower's own patch embedding give."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from PIL import Image

from tests.implementations.towers import NARROW, name_of, relative_error, weights_of
from vlbench.implementations.config import MODELS, VisionConfig
from vlbench.implementations.optimized.patch_embed import convolve, patch_projection
from vlbench.implementations.preprocessing import Grid
from vlbench.implementations.prompt.pixels import StillEmbedding, pixel_format, still_frames
from vlbench.workload.preprocess import patchify, rows

CHOICES = list(product([(), ("still-fold",)], [(), ("uint8-pixels",)]))


def picture(config: VisionConfig, grid: Grid) -> Image.Image:
    _, down, across = grid
    side = config.patch_size
    drawn = np.random.default_rng(0).integers(0, 256, (down * side, across * side, 3), dtype=np.uint8)
    return Image.fromarray(drawn)


def stills(config: VisionConfig, grid: Grid) -> torch.Tensor:
    """The bytes of one frame in the order of the patches."""
    fed = replace(config.preprocessing, temporal_patch_size=1)
    return torch.from_numpy(patchify(np.asarray(picture(config, grid))[None], fed).copy())


@pytest.mark.parametrize("config", [*NARROW, MODELS["qwen2.5-vl-tiny"]], ids=name_of)
@pytest.mark.parametrize("flags", CHOICES, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_the_hidden_states_of_a_picture(
    config: VisionConfig, flags: tuple[tuple[str, ...], tuple[str, ...]], dtype: torch.dtype
) -> None:
    grid, names = (1, 4, 6), [*flags[0], *flags[1]]
    proj = patch_projection(config)
    weights = weights_of(config)
    own = {key.removeprefix("patch_embed.proj."): each for key, each in weights.items() if "patch_embed" in key}
    proj.load_state_dict({key: each.to(dtype).float() for key, each in own.items()})
    floats = torch.from_numpy(rows([picture(config, grid)], grid, config.preprocessing))
    with torch.no_grad():
        wanted = convolve(proj, floats)
        embed = StillEmbedding(
            proj.to(dtype), still_frames.way_of(names), pixel_format.way_of(names), config.preprocessing
        )
        found = embed(stills(config, grid))
        itself = relative_error(convolve(proj, floats.to(dtype)), wanted)
    assert found.dtype is dtype
    assert found.shape == (24, config.hidden_size)
    assert relative_error(found, wanted) <= max(1e-6, 1.5 * itself)


def test_frames_that_differ_are_not_the_folds_business() -> None:
    """One frame is all that it is given: two frames of a video cannot be taken for a still."""
    config = NARROW[0]
    shape = (8, 3 * config.temporal_patch_size * config.patch_size**2)
    embed = StillEmbedding(
        patch_projection(config), still_frames.way_of(["still-fold"]), pixel_format.naive_way, config.preprocessing
    )
    with pytest.raises(RuntimeError, match="shape"):
        embed(torch.zeros(shape, dtype=torch.uint8))
