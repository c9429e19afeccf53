"""Find transformer forwards without any range: a block of kernels that repeats back to back, layer after
layer.

A candidate period is a frequent distance between equal triples of kernels; a run is a stretch in which the
sequence equals itself one period earlier. A layer is told from an inner loop (one attention call per window)
by its matrix products: it has at least four (qkv, projection, two or three of the MLP). A block without an attention
kernel, as of a plain MLP, is no transformer's.
"""

import re
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from vlbench.nsys.frames import RANGE_COLUMNS, Capture, frame

FOUND = "encoder blocks (found by pattern)"

_GEMM = re.compile(r"gemm|nvjet|cutlass::Kernel|xmma|\bmatmul|wgmma", re.IGNORECASE)
_KV_CACHE = re.compile(
    r"reshape_and_cache|concat_and_cache|paged|kv_?cache|append.*kv|store_(kv|cache)|set_(mla_)?kv|kv_?buffer|BatchDecode|masked_multihead",
    re.IGNORECASE,
)
ATTENTION = re.compile(r"flash|fmha|attention|attn|softmax|sdpa|\bmha|\bexp_kernel", re.IGNORECASE)
"""Kernels of attention: fused, or the softmax between two products."""
_LONGEST_BLOCK = 4096
_LEAST_REPEATS = 6
_LEAST_GEMMS = 4
_LEAST_STRETCHES = 2  # a forward is known by coming back
_PERIODS = 24

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Repeated:
    """One kind of block and its stretches: GPU rows of the first and last kernel, and the repeats."""

    block: tuple[str, ...]
    first: Ints
    last: Ints
    repeats: Ints

    @property
    def writes_kv_cache(self) -> bool:
        """A language model's layers store keys and values; an encoder's do not."""
        return any(_KV_CACHE.search(name) for name in self.block)

    @property
    def attends(self) -> bool:
        """Is there attention in it?"""
        return any(ATTENTION.search(name) for name in self.block)


@dataclass(frozen=True)
class _Stretch:
    """[begin, end) of one stream's kernels."""

    stream: Ints  # GPU rows in order
    products: npt.NDArray[np.bool_]  # which of them are matrix products
    begin: int
    end: int
    anchor: int  # where the block's canonical first kernel stands
    repeats: int


def repeated_blocks(capture: Capture) -> list[Repeated]:
    """Every kind of repeating block, the one with most kernels first."""
    ops = capture.gpu_ops
    kernels = np.flatnonzero(ops["kind"] == "kernel")
    names = ops["name"].cat.categories
    gemm = np.array([bool(_GEMM.search(name)) and not ATTENTION.search(name) for name in names], dtype=bool)
    place = ops[["pid", "device", "stream"]].iloc[kernels]
    start = ops["start"].to_numpy()
    found: dict[tuple[int, ...], list[_Stretch]] = {}
    for rows in place.groupby(["pid", "device", "stream"], sort=False).indices.values():
        stream = kernels[rows]
        stream = stream[np.argsort(start[stream], kind="stable")]
        codes = ops["name"].cat.codes.to_numpy()[stream].astype(np.int64)
        products = gemm[codes]
        taken = np.zeros(codes.size, dtype=bool)
        for period in _periods(codes):
            for begin, end in _stretches(codes, period):
                block = codes[begin : begin + period]
                if taken[begin:end].any() or products[begin : begin + period].sum() < _LEAST_GEMMS:
                    continue
                taken[begin:end] = True
                first, key = _rotation(block)
                found.setdefault(key, []).append(
                    _Stretch(stream, products, begin, end, begin + first, (end - begin) // period)
                )
    kinds = [_joined(key, runs, names) for key, runs in found.items()]
    return sorted(kinds, key=lambda kind: -int(kind.repeats.sum()) * len(kind.block))


def forwards_by_sequence(capture: Capture) -> tuple[pd.DataFrame, str] | None:
    """Encoder forwards as range rows, with a sentence on how they were found; None where nothing repeats.

    Kinds of blocks that write a KV cache or hold no attention are left out. Each forward spans, on the launching
    thread, the API calls of its first to its last repeated kernel, so patch embedding and merger are not in it.
    """
    kinds = repeated_blocks(capture)
    towers = [
        kind for kind in kinds if kind.attends and not kind.writes_kv_cache and kind.repeats.size >= _LEAST_STRETCHES
    ]
    if not towers:
        return None
    tower = towers[0]
    api, ops = capture.api, capture.gpu_ops["api"].to_numpy()
    first, last = ops[tower.first], ops[tower.last]
    tid = api["tid"].to_numpy()
    known = (first >= 0) & (last >= 0)
    known[known] = tid[first[known]] == tid[last[known]]
    first, last = first[known], last[known]
    if not first.size:
        return None
    how = (
        f"found by pattern, not by a range: a block of {len(tower.block)} kernels repeated "
        f"{_least_to_most(tower.repeats[known])} times, in {first.size} stretches, taken for the encoder because it "
        "attends and writes no KV cache"
    )
    if len(towers) > 1:
        how += f"; not certain, {len(towers) - 1} more repeating blocks write none: name the range with --range"
    no = np.zeros(first.size, dtype=bool)
    rows = frame(
        RANGE_COLUMNS,
        start=api["start"].to_numpy()[first],
        end=api["end"].to_numpy()[last],
        open=no,
        moved=no,
        nested=~no,
        tid=tid[first],
        pid=api["pid"].to_numpy()[first],
        domain=pd.Categorical([""] * first.size),
        name=pd.Categorical([FOUND] * first.size),
    )
    return rows.sort_values("start", ignore_index=True), how


def _periods(codes: Ints) -> list[int]:
    """Frequent distances between equal triples, the shortest first."""
    if codes.size < _LEAST_REPEATS * _LEAST_GEMMS:
        return []
    width = int(codes.max()) + 1
    triples = (codes[:-2] * width + codes[1:-1]) * width + codes[2:]
    order = np.argsort(triples, kind="stable")
    same = triples[order[1:]] == triples[order[:-1]]
    distance = (order[1:] - order[:-1])[same]
    counts = np.bincount(distance[distance <= _LONGEST_BLOCK])
    likely = np.argsort(-counts, kind="stable")[:_PERIODS]
    return sorted(int(period) for period in likely if period >= _LEAST_GEMMS and counts[period] >= _LEAST_REPEATS)


def _stretches(codes: Ints, period: int) -> list[tuple[int, int]]:
    """Stretches [begin, end) that consist of at least the least number of repeats of one block."""
    equal = np.concatenate([[False], codes[period:] == codes[:-period], [False]])
    begin, stop = np.flatnonzero(equal[1:] != equal[:-1]).reshape(-1, 2).T
    repeats = (stop - begin) // period + 1
    found = np.column_stack([begin, begin + repeats * period])[repeats >= _LEAST_REPEATS]
    return [(int(first), int(last)) for first, last in found]


def _rotation(block: Ints) -> tuple[int, tuple[int, ...]]:
    """The least rotation and where it starts: stretches of one layer may start at different kernels of it."""
    doubled = [*block.tolist(), *block.tolist()]
    least, size = min(doubled), len(block)
    starts = [index for index in range(size) if doubled[index] == least]
    best = min(starts, key=lambda index: doubled[index : index + size])
    return best, tuple(doubled[best : best + size])


def _joined(key: tuple[int, ...], runs: list[_Stretch], names: pd.Index) -> Repeated:
    """Join stretches with a layer of another kind between them, such as full attention among windows.

    It lies close and keeps the number of matrix products a whole multiple of the block's; the end of a
    forward adds those of merger, head and patch embedding.
    """
    first, *rest = sorted(runs, key=lambda run: (run.stream[0], run.begin))
    per_block = int(first.products[first.begin : first.begin + len(key)].sum())
    joined = [first]
    for run in rest:
        before = joined[-1]
        near = run.stream is before.stream and run.begin - before.end <= 2 * len(key)
        if near and int(run.products[before.anchor : run.anchor].sum()) % per_block == 0:
            joined[-1] = replace(before, end=run.end, repeats=before.repeats + run.repeats)
        else:
            joined.append(run)
    rows = [(run.stream[run.begin], run.stream[run.end - 1], run.repeats) for run in joined]
    return Repeated(tuple(str(names[code]) for code in key), *np.array(rows, dtype=np.int64).T)


def _least_to_most(values: Ints) -> str:
    least, most = int(values.min()), int(values.max())
    return str(least) if least == most else f"{least} to {most}"
