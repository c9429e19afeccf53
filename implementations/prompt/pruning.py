"""EVS: tokens of a video that hardly differ from those of the frame before are left out of the prompt.

It changes what the language model sees, so that no preset has it; and it saves prefill, not the tower. How many tokens
stay is known beforehand, which of them is not, so that a captured graph cannot hold it. Source: vLLM
`multimodal/evs.py`, "Efficient Video Sampling", arXiv 2510.14624.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from ..optimized.seam import Exactness, Seam
from ..output import VisionOutput
from .mrope import Item, PositionRule, Request, mrope

PRUNED = 0.75
"""The share of a video's tokens that is left out where nobody says otherwise."""

Prune = Callable[[Tensor, Request, PositionRule], VisionOutput]
"""(vision [tokens of all videos, width], the whole prompt, rule) to what the language model takes: the tokens that stay
[kept, width], and as parts on the host `kept`, the places that they had [kept], `ids` [prompt that is left],
`positions` [3, prompt that is left] and `after`, the first position behind it [1]; int64."""

pruning: Seam[Prune] = Seam("pruning", in_tower=False)


@pruning.naive
def every_token(vision: Tensor, request: Request, rule: PositionRule) -> VisionOutput:
    """All that comes from the tower goes into the prompt. Raises ValueError where tokens and items do not fit."""
    tokens_of_videos(vision, request, rule)
    positions, delta = mrope.naive_way([Request(request.ids, request.items)], rule)
    after = delta + len(request.ids)
    kept = torch.arange(len(vision))
    return VisionOutput(vision, {"kept": kept, "ids": request.ids, "positions": positions, "after": after})


@pruning.optimization(
    "evs",
    removes="prefill of three quarters of a video's tokens, those nearest to the frame before; for a read-back of "
    "which stay",
    exactness=Exactness.RESULT_CHANGING,
    source="vLLM multimodal/evs.py; arXiv 2510.14624",
    excludes=("graph-exact", "graph-budget"),
)
def without_repeats(vision: Tensor, request: Request, rule: PositionRule) -> VisionOutput:
    """Of each video a share of 1 - PRUNED stays. Raises ValueError where tokens and items do not fit."""
    places = [vision.new_empty(0, dtype=torch.int64)]
    for item, begin, end in tokens_of_videos(vision, request, rule):
        places.append(newest(vision[begin:end], item, rule) + begin)
    kept = torch.cat(places)
    on_host = kept.cpu()
    ids, positions, delta = pruned_request(request, on_host, rule)
    after = torch.tensor([delta + len(ids)])
    return VisionOutput(vision[kept], {"kept": on_host, "ids": ids, "positions": positions, "after": after})


def tokens_of_videos(vision: Tensor, request: Request, rule: PositionRule) -> list[tuple[Item, int, int]]:
    """Each video of a request with its first token in `vision` [tokens, width] and the end of its tokens.

    Raises ValueError where there are more tokens, or fewer.
    """
    found, end = [], 0
    for item in request.items:
        if item.kind == "video":
            begin, end = end, end + math.prod(item.merged(rule))
            found.append((item, begin, end))
    if len(vision) != end:
        raise ValueError(f"vision has {len(vision)} tokens, and the request's videos have {end}")
    return found


def newest(vision: Tensor, item: Item, rule: PositionRule, pruned: float = PRUNED) -> Tensor:
    """The places [kept], rising, of a share of 1 - `pruned` of a video's tokens: those that differ most from the frame
    before.

    `vision` is [tokens, width], frame by frame; it is compared in fp32: bf16 has ties, which vLLM breaks by order.
    The first frame is kept always. The count is vLLM's, int(tokens * (1 - pruned)), which in floating point may be one
    below the exact share: 0.9 leaves 9 of 100. Raises ValueError for another shape, and for a share that is not at
    least 0 and below 1.
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
    return news.flatten().argsort(descending=True, stable=True)[:count].sort().values


def cosine_error(vision: Tensor, kept: Tensor, cells: int) -> float:
    """Mean of 1 - cosine between a token of a video that is left out and the kept one before it in its place.

    `vision` is [tokens, width] of frames of `cells` tokens, `kept` are places of it. 0 where nothing is left out.
    """
    if len(kept) == len(vision):
        return 0.0
    frames = vision.view(-1, cells, vision.shape[-1]).float()
    stays = torch.zeros(len(vision), dtype=torch.bool, device=vision.device)
    stays[kept.to(vision.device)] = True
    stays = stays.view(-1, cells)
    numbers = torch.arange(len(frames), device=vision.device).unsqueeze(1)
    stands_in = torch.where(stays, numbers, 0).cummax(0).values
    seen = frames.gather(0, stands_in.unsqueeze(-1).expand_as(frames))
    return float((1 - cosine_similarity(seen, frames, dim=-1))[~stays].mean())


def pruned_request(request: Request, kept: Tensor, rule: PositionRule) -> tuple[Tensor, Tensor, int]:
    """A whole prompt without the placeholders that its videos no longer need: ids, positions [3, tokens] and delta.

    `kept` are the places, rising and on the host, of what stays of the tokens of all its videos. A token keeps the
    position that it had, and text stays where it was; the delta is larger by what is left out. Raises ValueError for a
    place that the videos do not have.
    """
    positions, delta = mrope.naive_way([Request(request.ids, request.items)], rule)
    stays = request.ids != rule.video_token
    places = (~stays).nonzero().squeeze(1)
    if len(strange := kept[(kept < 0) | (kept >= len(places))]):
        raise ValueError(f"kept names the token {int(strange[0])}, and the prompt's videos have {len(places)}")
    stays[places[kept]] = True
    return request.ids[stays], positions[:, stays], int(delta) + len(stays) - int(stays.sum())
