"""A module that is called with images alone says of what size, or is asked to."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from vlbench.errors import UsageError
from vlbench.implementations.output import VisionOutput
from vlbench.implementations.preprocessing import Images
from vlbench.towers.of_images import images_of, takes_images, tokens_of


class Alone(nn.Module):
    def forward(self, pixel_values: Tensor, interpolate: bool = False) -> Tensor:
        return pixel_values


class AllOptional(nn.Module):
    def forward(self, pixel_values: Tensor | None = None, attention_mask: Tensor | None = None, **kwargs: Any) -> None:
        return None


class WithGrids(nn.Module):
    def forward(self, pixels: Tensor, grid_thw: Tensor | None = None) -> Tensor:
        return pixels


class TwoNeeded(nn.Module):
    def forward(self, pixels: Tensor, sizes: Tensor) -> Tensor:
        return pixels


class Anything(nn.Module):
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return args


@pytest.mark.parametrize(
    ("module", "alone"),
    [(Alone(), True), (AllOptional(), True), (WithGrids(), False), (TwoNeeded(), False), (Anything(), False)],
    ids=lambda value: type(value).__name__,
)
def test_which_are_called_with_images_alone(module: nn.Module, alone: bool) -> None:
    assert takes_images(module) is alone


def said(**attributes: Any) -> nn.Module:
    module = Alone()
    vars(module).update(attributes)
    return module


@pytest.mark.parametrize(
    ("module", "images"),
    [
        (said(config=SimpleNamespace(image_size=384)), Images((384, 384))),
        (said(config=SimpleNamespace(image_size=[224, 336])), Images((224, 336))),
        (said(pretrained_cfg={"input_size": (3, 96, 64)}), Images((96, 64))),
        (
            said(
                pretrained_cfg=SimpleNamespace(input_size=(3, 224, 224), mean=(0.4, 0.5, 0.6), std=(0.2, 0.2, 0.3)),
                patch_embed=SimpleNamespace(img_size=(64, 64)),
            ),
            Images((64, 64), (0.4, 0.5, 0.6), (0.2, 0.2, 0.3)),
        ),
    ],
)
def test_the_size_is_what_the_module_was_made_for(module: nn.Module, images: Images) -> None:
    assert images_of(module, "a:b") == images


def test_a_module_without_a_size_is_asked_to_say_it() -> None:
    with pytest.raises(UsageError, match=r"tower 'a:b': .*of what size; return a vlbench.Tower\(make, preprocessing"):
        images_of(said(config=SimpleNamespace(image_size=None)), "a:b")


def test_the_last_hidden_state_is_the_tokens() -> None:
    tokens, pooled = torch.ones(1, 4, 8), torch.ones(1, 8)
    both = tokens_of(SimpleNamespace(last_hidden_state=tokens, pooler_output=pooled))
    assert isinstance(both, VisionOutput)
    assert (both.tokens is tokens, dict(both.parts)) == (True, {"pooled": pooled})
    assert tokens_of(tokens) is tokens
