"""EVS: tokens of a video that hardly differ from those of the frame before are left out of the prompt.

It changes what the language model sees, so that no preset has it; and it saves prefill, not the tower. How much is kept
is known beforehand, which tokens are kept is not, so a captured graph cannot hold it. Source: vLLM `multimodal/evs.py`,
"Efficient Video Sampling", arXiv 2510.14624.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from .mrope import Item, PositionRule, Request, mrope


@dataclass(frozen=True, slots=True)
class Pruned:
    """Which tokens of a video are kept, and what that costs."""

    kept: Tensor
    """[tokens of the video] bool."""
    cosine_error: float
    """Mean of 1 - cosine between a token that is left out and the kept one before it in its place; 0 for none."""

    @property
    def retained(self) -> float:
        """The share of tokens that is kept."""
        return float(self.kept.float().mean())


def evs(vision: Tensor, item: Item, rule: PositionRule, pruned: float = 0.75) -> Pruned:
    """Keeps a share of 1 - `pruned` of a video's tokens, those that differ most from the frame before.

    `vision` is [tokens, width], frame by frame; it is compared in fp32: bf16 has ties, which vLLM breaks by order.
    The first frame is kept always. Raises ValueError for another shape, and for a share that is not at least 0 and
    below 1.
    """
    if not 0 <= pruned < 1:
        raise ValueError(f"pruned is {pruned}; give a share from 0 up, below 1")
    t, h, w = item.merged(rule)
    if vision.dim() != 2 or len(vision) != t * h * w:
        raise ValueError(f"vision has the shape {list(vision.shape)}; {t * h * w} tokens of a grid of {item.grid} do")
    frames = vision.view(t, h * w, -1).float()
    news = 1 - cosine_similarity(frames[1:], frames[:-1], dim=-1)
    news = torch.cat([news.new_full((1, h * w), torch.inf), news])
    count = max(h * w, int(t * h * w * (1 - pruned)))
    kept = torch.zeros(t * h * w, dtype=torch.bool, device=vision.device)
    kept[news.flatten().argsort(descending=True, stable=True)[:count]] = True
    return Pruned(kept, _cosine_error(frames, kept.view(t, h * w)))


def _cosine_error(frames: Tensor, kept: Tensor) -> float:
    """Of frames [t, cells, width] whose kept tokens [t, cells] stand for those behind them."""
    if kept.all():
        return 0.0
    numbers = torch.arange(len(frames), device=kept.device).unsqueeze(1)
    stands_in = torch.where(kept, numbers, 0).cummax(0).values
    seen = frames.gather(0, stands_in.unsqueeze(-1).expand_as(frames))
    return float((1 - cosine_similarity(seen, frames, dim=-1))[~kept].mean())


def pruned_request(request: Request, kept: Sequence[Tensor], rule: PositionRule) -> tuple[Tensor, Tensor, int]:
    """A whole prompt without the placeholders that its videos no longer need: ids, positions [3, tokens] and delta.

    `kept` is [tokens] for each video, in the order of the prompt. A token keeps the position that it had, and text
    stays where it was; the delta is larger by what is left out. Raises ValueError where `kept` does not fit the videos.
    """
    positions, delta = mrope.naive_way([Request(request.ids, request.items)], rule)
    stays = torch.ones_like(request.ids, dtype=torch.bool)
    places = (request.ids == rule.video_token).nonzero().squeeze(1)
    flags = torch.cat([each.cpu() for each in kept]) if kept else stays[:0]
    if len(flags) != len(places):
        raise ValueError(f"kept is about {len(flags)} tokens, and the prompt's videos have {len(places)}")
    stays[places] = flags
    return request.ids[stays], positions[:, stays], int(delta) + int((~stays).sum())
