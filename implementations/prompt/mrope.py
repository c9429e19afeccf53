"""M-RoPE index: three positions (time, row, column) for every token of prompts that hold text, pictures and videos.

The classic rule, as transformers 4.49, vLLM and TensorRT-LLM have it: text counts on in all three; the tokens of a
picture or video stand at their places in it; what follows goes on after the largest position so far. transformers 5
goes on after the larger side instead, so that the positions of a long video and of the text behind it overlap.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..config import Family
from ..optimized.seam import Exactness, Seam


@dataclass(frozen=True, slots=True)
class PositionRule:
    """What the positions depend on beside the prompt."""

    image_token: int = 151_655
    """The id that stands once for every token of a picture: <|image_pad|>."""
    video_token: int = 151_656
    """<|video_pad|>."""
    merge_size: int = 2
    """Side of the square of patches that becomes one token."""
    tokens_per_second: float | None = None
    """Positions in a second of video; None where each row of a video's grid counts one, however long it lasts."""
    frames_apart: bool = False
    """Is each row of a video's grid a run of tokens of its own, with its time as text before it?"""

    @property
    def placeholders(self) -> tuple[int, int]:
        """The ids that are no text."""
        return self.image_token, self.video_token

    def marked(self, ids: Tensor) -> Tensor:
        """Which of `ids` are no text, bool of their shape."""
        return (ids == self.image_token) | (ids == self.video_token)


Ids = npt.NDArray[np.int64]

RULES: Mapping[Family, PositionRule] = {
    "qwen2_vl": PositionRule(),
    "qwen2_5_vl": PositionRule(tokens_per_second=2),
    "qwen3_vl": PositionRule(frames_apart=True),
    "qwen3_5": PositionRule(image_token=248_056, video_token=248_057, frames_apart=True),
}
"""Of each family's released checkpoints."""


@dataclass(frozen=True, slots=True)
class Item:
    """A picture or video of a prompt."""

    grid: tuple[int, int, int]
    """(t, h, w) in patches."""
    kind: Literal["image", "video"] = "image"
    seconds: float = 1.0
    """Of a video: how long one row of its grid lasts, temporal patch size / sampled frames per second."""

    def merged(self, rule: PositionRule) -> tuple[int, int, int]:
        """Its grid in tokens. Raises ValueError for one that has none."""
        t, h, w = self.grid
        if t < 1 or min(h, w) < rule.merge_size or h % rule.merge_size or w % rule.merge_size:
            raise ValueError(f"a grid of {self.grid} is none; give 1 or more rows, and sides by {rule.merge_size}")
        return t, h // rule.merge_size, w // rule.merge_size


@dataclass(frozen=True, slots=True)
class Request:
    """One prompt, and the part of it that is asked for."""

    ids: Tensor
    """[tokens] int64 on the host, with a placeholder for each vision token."""
    items: tuple[Item, ...] = ()
    """In the order of the prompt."""
    first: int = 0
    """Where this chunk of a prefill begins."""
    last: int | None = None
    """Behind its last token; None: up to the end."""


Mrope = Callable[[Sequence[Request], PositionRule], tuple[Tensor, Tensor]]
"""To positions [3, tokens of all chunks, end to end] and, for each request [requests], what the number of a later token
lacks to its position; both int64. Raises ValueError where placeholders do not fit the items."""

LEFT_OVER = "the prompt has placeholders behind those of its last item; give the grid of each"

mrope: Seam[Mrope] = Seam("mrope", in_tower=False)


def runs_of(items: Sequence[Item], rule: PositionRule) -> Iterator[tuple[Item, int, float]]:
    """Every run of placeholders: whose it is, the id, and how many positions lie between two rows of its grid."""
    for item in items:
        if item.kind == "image":
            yield item, rule.image_token, 1.0
        elif rule.frames_apart:
            frame = replace(item, grid=(1, *item.grid[1:]))
            yield from [(frame, rule.video_token, 1.0)] * item.grid[0]
        else:
            apart = 1.0 if rule.tokens_per_second is None else rule.tokens_per_second * item.seconds
            yield item, rule.video_token, apart


@mrope.naive
def small_operations(requests: Sequence[Request], rule: PositionRule) -> tuple[Tensor, Tensor]:
    """A dozen small tensor operations for each picture, and the ids as a list that is searched."""
    chunks, deltas = [], []
    for request in requests:
        ids, done = request.ids.tolist(), 0
        parts: list[Tensor] = []
        for item, token, apart in runs_of(request.items, rule):
            begin, end = _place(ids, item, token, done, rule)
            parts.append(_text(begin - done) + _next(parts))
            t, h, w = item.merged(rule)
            times = (torch.arange(t, dtype=torch.float64) * apart).long().view(-1, 1).expand(-1, h * w).flatten()
            rows = torch.arange(h).view(1, -1, 1).expand(t, -1, w).flatten()
            columns = torch.arange(w).view(1, 1, -1).expand(t, h, -1).flatten()
            parts.append(torch.stack([times, rows, columns]) + _next(parts))
            done = end
        if any(token in rule.placeholders for token in ids[done:]):
            raise ValueError(LEFT_OVER)
        parts.append(_text(len(ids) - done) + _next(parts))
        chunks.append(torch.cat(parts, dim=1)[:, request.first : request.last])
        deltas.append(_next(parts) - len(ids))
    return torch.cat(chunks, dim=1), torch.tensor(deltas)


def _text(tokens: int) -> Tensor:
    return torch.arange(tokens).view(1, -1).expand(3, -1)


def _next(parts: Sequence[Tensor]) -> int:
    """One more than the largest position so far; all that matter are in the last part that has any."""
    return next((int(part.max()) + 1 for part in reversed(parts) if part.numel()), 0)


def _place(ids: list[int], item: Item, token: int, start: int, rule: PositionRule) -> tuple[int, int]:
    """From which to which token the next run of placeholders goes."""
    tokens = math.prod(item.merged(rule))
    begin = next((place for place in range(start, len(ids)) if ids[place] in rule.placeholders), len(ids))
    if (found := ids[begin : begin + tokens].count(token)) != tokens:
        raise ValueError(_misfit(item, token, begin, tokens, found))
    return begin, begin + tokens


def _misfit(item: Item, token: int, begin: int, tokens: int, found: int) -> str:
    return (
        f"a grid of {item.grid} needs {tokens} times the id {token} from token {begin} of its prompt on, "
        f"and {found} are there; give each {item.kind} its placeholders, in the order of the items"
    )


@mrope.optimization(
    "mrope-numpy",
    removes="the host time of a dozen small tensor operations for each picture: positions are written into one array",
    exactness=Exactness.BIT_EXACT,
    source="TensorRT-LLM #11943, vLLM #32126",
)
def one_array(requests: Sequence[Request], rule: PositionRule) -> tuple[Tensor, Tensor]:
    """NumPy's calls cost a fraction of torch's where there are a few hundred numbers."""
    chunks, deltas = [], []
    for request in requests:
        positions, after = _positions_of(request.ids.numpy(), request.items, rule)
        chunks.append(positions[:, request.first : request.last])
        deltas.append(after - len(request.ids))
    return torch.from_numpy(np.concatenate(chunks, axis=1)), torch.tensor(deltas)


def _positions_of(ids: Ids, items: Sequence[Item], rule: PositionRule) -> tuple[Ids, int]:
    """Those of a whole prompt [3, tokens], and the first position behind it."""
    positions = np.empty((3, len(ids)), dtype=np.int64)
    places = np.flatnonzero((ids == rule.image_token) | (ids == rule.video_token))
    done, after, taken = 0, 0, 0
    for item, token, apart in runs_of(items, rule):
        t, h, w = item.merged(rule)
        tokens = t * h * w
        begin = int(places[taken]) if taken < len(places) else len(ids)
        if (found := int((ids[begin : begin + tokens] == token).sum())) != tokens:
            raise ValueError(_misfit(item, token, begin, tokens, found))
        text = begin - done
        positions[:, done:begin] = np.arange(after, after + text)
        inside = np.indices((t, h, w)).reshape(3, tokens)
        if apart != 1:
            inside[0] = inside[0] * apart  # the product is truncated, as the rule has it
        done, after, taken = begin + tokens, after + text, taken + tokens
        positions[:, begin:done] = inside + after
        after += max(int((t - 1) * apart), h - 1, w - 1) + 1
    if taken < len(places):
        raise ValueError(LEFT_OVER)
    text = len(ids) - done
    positions[:, done:] = np.arange(after, after + text)
    return positions, after + text
