"""In which order a tower's rows stand, and its tables in a form that every tower's come to."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor


def to_input(rows: Tensor, order: Tensor | None) -> Tensor:
    """Rows in the order of the input, in memory of their own.

    `order` [N] has of each row of the hidden states which patch of the input it is; None: they stand in its order. Of
    tokens there are fewer rows, one for each group of neighbours among the patches.
    """
    moved = None if order is None else _order_of(rows, order)
    return rows.clone() if moved is None else torch.empty_like(rows).index_copy_(0, moved, rows)


def to_stream(rows: Tensor, order: Tensor | None) -> Tensor:
    """The way back: rows in the order of the hidden states, in memory of their own."""
    moved = None if order is None else _order_of(rows, order)
    return rows.clone() if moved is None else rows[moved]


def _order_of(rows: Tensor, order: Tensor) -> Tensor | None:
    unit, rest = divmod(len(order), len(rows)) if len(rows) else (0, 0)
    return None if rest or not unit else order[::unit].to(rows.device) // unit


def order_between(before: Tensor, after: Tensor, unit: int) -> Tensor | None:
    """Which row of `before` [N, C] each row of `after` [N, C] is, to the bit, moved in whole cells of `unit` rows.

    None where it is no such permutation, as where something was added.
    """
    if before.shape != after.shape or len(before) % unit:
        return None
    places = {row: number for number, row in enumerate(_bytes(before))}
    order = torch.tensor([places.get(row, -1) for row in _bytes(after)])
    cells = order.view(-1, unit)
    inside = torch.arange(unit)
    whole = torch.equal(cells, cells[:, :1] + inside) and not (cells[:, 0] % unit).any()
    return order.to(after.device) if whole and torch.equal(order.sort().values, torch.arange(len(order))) else None


def _bytes(rows: Tensor) -> list[bytes]:
    return [row.tobytes() for row in rows.detach().contiguous().view(torch.uint8).cpu().numpy()]


def segment_table(given: Iterable[Any], order: Tensor | None, patches: int) -> Tensor | None:
    """Of each patch, in the order of the input, the first patch that it attends with: int64 [N].

    From what an attention is called with: bounds [0, ..., N] as a tensor or a list, or an object that has them, with
    the order that q, k and v are brought into. None where nothing is such bounds.
    """
    for each in given:
        bounds = getattr(each, "bounds", each)
        gather = None if bounds is each else getattr(each, "gather", None)
        if isinstance(bounds, Tensor):
            bounds = bounds.tolist() if bounds.ndim == 1 and not bounds.is_floating_point() else None
        if isinstance(bounds, list) and bounds and bounds == sorted(bounds) and (bounds[0], bounds[-1]) == (0, patches):
            return _first_of_segment(bounds, gather, order)
    return None


def _first_of_segment(bounds: Sequence[int], gather: Tensor | None, order: Tensor | None) -> Tensor:
    sizes, patches = torch.tensor(bounds).diff(), bounds[-1]
    segment = torch.repeat_interleave(torch.arange(len(sizes)), sizes)
    if gather is not None:
        unit = patches // len(gather)
        segment = to_input(segment, (gather.cpu().unsqueeze(1) * unit + torch.arange(unit)).flatten())
    segment = to_input(segment, None if order is None else order.cpu())
    first = torch.full(sizes.shape, patches).scatter_reduce_(0, segment, torch.arange(patches), "amin")
    return first[segment]


def rope_table(given: Iterable[Any], head_dim: int) -> Tensor | None:
    """cos and then sin of each row, [N, 2 * head_dim], in the order of the hidden states.

    From what an attention is called with: angles, cos and sin, or an object that gives them; for all of a head, or for
    half of it where the other half is the same. None where nothing is such a table.
    """
    for each in given:
        if callable(getattr(each, "cos_sin", None)):
            pair = each.cos_sin()
            cos, sin = pair.cos, pair.sin
        elif isinstance(each, tuple | list) and len(each) == 2 and all(map(_is_table, each)):
            cos, sin = each
        elif _is_table(each):
            cos, sin = each.cos(), each.sin()
        else:
            continue
        return torch.cat([_of_a_head(part, head_dim) for part in (cos, sin)], dim=-1)
    return None


def _is_table(each: Any) -> bool:
    return isinstance(each, Tensor) and each.ndim > 1 and each.is_floating_point()


def _of_a_head(part: Tensor, head_dim: int) -> Tensor:
    rows = part.reshape(-1, part.shape[-1])
    return torch.cat((rows, rows), dim=-1) if 2 * rows.shape[-1] == head_dim else rows
