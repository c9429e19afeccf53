"""Does a tower do on a GPU what it does on a CPU, where its results are checked?"""

from collections import Counter
from collections.abc import Iterable
from math import prod
from typing import NamedTuple

from vlbench.record.work import Step, Work

_PRODUCTS = ("linear", "matmul", "mm", "addmm", "bmm", "baddbmm", "einsum", "conv1d", "conv2d", "conv3d", "convolution")
PRODUCTS = frozenset(f"aten::{name}" for name in (*_PRODUCTS, "scaled_dot_product_attention"))
"""Nearly all of the work."""
_Kind = tuple[str, tuple[int, ...]]


class Apart(NamedTuple):
    """How two paths differ."""

    words: str
    left_out: bool
    """Does the device leave out work, with nothing in its place?"""


def apart(cpu: Work, device: Work) -> Apart | None:
    """How the path on the counting device differs from that on a CPU; None where it does the same work."""
    here, there = (Counter(map(_kind, path)) for path in (cpu, device))
    lacking, more = here - there, there - here
    if not lacking and not more:
        return None
    own_kernels = any(not name.startswith("aten::") for name, _ in more)
    less = _products(lacking) > 2 * _products(more) if _products(lacking) else not more
    places = [*_where(cpu, lacking, "a CPU"), *_where(device, more, "the device")]
    return Apart(f"on a GPU it takes another path than on a CPU: {' and '.join(places)}", less and not own_kernels)


def _kind(step: Step) -> _Kind:
    return step.operation, step.shape


def _products(steps: Counter[_Kind]) -> int:
    """Elements that matrix products and the like make."""
    return sum(prod(shape) * times for (name, shape), times in steps.items() if name in PRODUCTS)


def _where(work: Work, odd: Counter[_Kind], side: str) -> Iterable[str]:
    found = [step for step in work if _kind(step) in odd]
    if found:
        yield f"{found[0].operation} at {found[0].where.place or 'no Python line'} runs on {side} alone"
