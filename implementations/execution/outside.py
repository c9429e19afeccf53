"""Attention as compiled code sees it: one operator that it cannot look into.

The boundaries of segments would be part of what is compiled, and each batch has others. The operator is given a number
instead, as a tensor, since compiled code is never made for the value of a tensor.
"""

from collections.abc import Callable
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from ..operators import PACKAGE
from ..optimized.attention import SegmentList
from ..optimized.segments import Segments

if TYPE_CHECKING:
    from ..optimized.layout import Layout


class Numbered(Segments):
    """Segments of a forward under way, found by their number for as long as it lasts."""

    def __init__(self, segments: Segments, attend: SegmentList, layout: "Layout") -> None:
        super().__init__([], segments.gather, segments.scatter, segments.batches)
        self.attend: Callable[[Tensor, Tensor, Tensor], Tensor] = partial(attend, segments=segments, layout=layout)
        number = next(_NUMBERS)
        self.ticket = torch.tensor(number, device="cpu")
        _UNDER_WAY[number] = self


_NUMBERS = count()
_UNDER_WAY: WeakValueDictionary[int, Numbered] = WeakValueDictionary()
"""Not a cache: what is in it is kept alive by the forward that it is of."""


@torch.library.custom_op(f"{PACKAGE}::attend", mutates_args=())
def attend(q: Tensor, k: Tensor, v: Tensor, ticket: Tensor) -> Tensor:
    """Attention inside the segments of a number; q, k, v and the result as the layout has them."""
    return _UNDER_WAY[int(ticket)].attend(q, k, v).contiguous()


@attend.register_fake
def _(q: Tensor, k: Tensor, v: Tensor, ticket: Tensor) -> Tensor:
    return v.new_empty(v.shape)


class Outside(SegmentList):
    """An attention that compiled code calls as one operator."""

    def __init__(self, attend: SegmentList) -> None:
        self.attend = attend

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, segments: Any, layout: "Layout") -> Tensor:
        """See `SegmentList`. The segments are numbered."""
        if torch.compiler.is_compiling():
            out: Tensor = attend(q, k, v, segments.ticket)
            return out
        attended: Tensor = segments.attend(q, k, v)
        return attended
