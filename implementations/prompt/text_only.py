"""A request made ready for the language model: placeholders for every vision token, their mask, and positions.

Most requests of a multimodal service hold no picture. A stack that sends them through the same branch as the others
pays for what it then finds to be empty.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ..optimized.seam import Exactness, Seam
from .mrope import LEFT_OVER, Item, PositionRule, Request, mrope, runs_of

Prepared = tuple[Tensor, Tensor, Tensor, Tensor]
"""Ids [tokens] with a placeholder for every vision token, which of them are placeholders [tokens], positions
[3, tokens] and their delta [1]."""
Prepare = Callable[[Tensor, tuple[Item, ...], PositionRule], Prepared]
"""From ids [tokens] that have one placeholder per run of vision tokens, and the items in the prompt's order."""

preparation: Seam[Prepare] = Seam("preparation", in_tower=False)


@preparation.naive
def every_request(ids: Tensor, items: tuple[Item, ...], rule: PositionRule) -> Prepared:
    """All requests take the branch for pictures. Raises ValueError where placeholders do not fit the items."""
    runs, expanded = runs_of(items, rule), []
    for token in ids.tolist():
        times = 1
        if token in rule.placeholders:
            item, _, _ = next(runs, (None, 0, 0))
            if item is None:
                raise ValueError(LEFT_OVER)
            times = math.prod(item.merged(rule))
        expanded += [token] * times
    whole = torch.tensor(expanded)
    positions, delta = mrope.naive_way([Request(whole, items)], rule)
    return whole, rule.marked(whole), positions, delta


@preparation.optimization(
    "text-only",
    removes="the branch for pictures where a request has none: its ids stay, and its positions count up",
    exactness=Exactness.BIT_EXACT,
    source="TensorRT-LLM #11943",
)
def without_pictures(ids: Tensor, items: tuple[Item, ...], rule: PositionRule) -> Prepared:
    """One look at the ids remains: a placeholder without a picture is an error, not text."""
    if items:
        return every_request(ids, items, rule)
    mask = rule.marked(ids)
    if mask.any():
        raise ValueError(LEFT_OVER)
    return ids, mask, torch.arange(len(ids)).expand(3, -1), torch.tensor([0])
