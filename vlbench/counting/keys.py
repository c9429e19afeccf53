"""Is the key of a graph sound? Batches that share it are computed by each other's graph, as a replay would do it.

Where the result is not that batch's own, the key forgets something. All of it is computed on the CPU in float32, with
the smallest size of the family for one of our models.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from vlbench.counting.capture import NOTHING, RegionAsked
from vlbench.counting.further import smallest
from vlbench.counting.measure import CUDA, Call, as_row, call_of, refuse_platform, with_place
from vlbench.counting.replays import BatchGraph, GraphTape, distance
from vlbench.counting.rows import Row
from vlbench.counting_device import CountingDevice
from vlbench.counting_device.capture import Stages
from vlbench.counting_device.tape import first_difference
from vlbench.counting_device.tensor import DeviceTensor
from vlbench.errors import UsageError
from vlbench.implementations.config import MODELS
from vlbench.implementations.preprocessing import Fed, Grid, Preprocessing
from vlbench.implementations.stage import listen
from vlbench.record.capturable import KeyCheck
from vlbench.record.grouping import gathered
from vlbench.towers.models import drawn
from vlbench.towers.resolve import resolve_tower
from vlbench.towers.tower import Tower

CELLS: tuple[tuple[Grid, ...], ...] = (
    ((1, 6, 6), (1, 6, 6)),
    ((2, 6, 6),),
    ((1, 4, 9), (1, 4, 9)),
    ((1, 4, 6), (1, 8, 6)),
    ((1, 8, 6), (1, 4, 6)),
    ((1, 6, 6), (1, 4, 9)),
    ((1, 8, 9),),
    ((1, 4, 6), (1, 4, 6), (1, 4, 6)),
    ((3, 4, 6),),
)
"""Batches in merged cells, all of equally many tokens: pictures and videos, lengths in other orders, other shapes."""
OTHER_DTYPE = torch.bfloat16
SEED = 0
"""Of weights that a tower draws itself."""
LIMIT = 1e-5
"""Relative L2 distance in float32 up to which two results are the same: other orders of sums move them by 1e-6."""
HAND_IN = "it plans inside its forward: hand the plan in"

HELD = "their records are the same, so it reads a tensor that no replay writes, such as one in a cache"


@dataclass(frozen=True)
class Batch:
    """Grids, and the dtype of their pixels."""

    grids: tuple[Grid, ...]
    dtype: torch.dtype
    fed: Fed

    def __str__(self) -> str:
        named = f" in {str(self.dtype).removeprefix('torch.')}" if self.dtype is OTHER_DTYPE else ""
        return f"{' + '.join('x'.join(map(str, grid)) for grid in self.grids)}{named}"

    def fact(self, name: str) -> object:
        """What it is in this respect, by the names of `FACTS`."""
        lengths = [h * w for t, h, w in self.grids for _ in range(t)]
        unit = self.fed.merge_size**2 if isinstance(self.fed, Preprocessing) else 1
        return {
            "tokens": sum(lengths) // unit,
            "items": len(self.grids),
            "frames": len(lengths),
            "lengths": tuple(lengths),
            "longest": max(lengths),
            "grids": self.grids,
            "dtype": self.dtype,
        }[name]


def batches_that_share(key: Sequence[str], fed: Fed) -> list[tuple[Batch, Batch]]:
    """Pairs of batches that share the key and are not the same, each way round; those of another dtype come last."""
    several = dict.fromkeys(fed.grids_of(cells) for cells in CELLS)
    batches = [Batch(grids, torch.float32, fed) for grids in several]
    batches.append(Batch(batches[0].grids, OTHER_DTYPE, fed))
    groups = gathered((tuple(batch.fact(name) for name in key), batch) for batch in batches)
    both = [(first, other) for first, *others in groups.values() for other in others]
    pairs = [pair for first, other in both for pair in ((first, other), (other, first))]
    return sorted(pairs, key=lambda pair: pair[0].dtype is not pair[1].dtype)


def check_key(device: CountingDevice, row: Row, key: Sequence[str], region: RegionAsked) -> KeyCheck:
    """Of a row, on a shadow device. What cannot be computed is not checked, with the reason."""
    gc.collect()
    try:
        tower = resolve_tower(smallest(row.tower))
        refuse_platform(tower)
        weights = drawn(MODELS[tower.model], CUDA, torch.float32) if tower.model in MODELS else None
        first = _built(device, tower, weights)

        def fresh() -> Callable[[Batch, int], Call]:
            module = as_row(_with_weights_of(first, _built(device, tower, weights)), row)
            return lambda batch, seed: call_of(device, module, tower, batch.grids, batch.dtype, seed)

        with torch.inference_mode():
            return _checked(row, _Graphs(device, fresh, region), batches_that_share(key, tower.fed))
    except UsageError as error:
        return KeyCheck(verdict="not checked", reason=str(error))
    except Exception as error:  # whatever a tower raises
        return KeyCheck(verdict="not checked", reason=with_place(error))


def _built(device: CountingDevice, tower: Tower, weights: Mapping[str, Tensor] | None) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(SEED)
        return device.build(lambda: tower.build(CUDA, torch.float32, weights))


def _with_weights_of(first: nn.Module, module: nn.Module) -> nn.Module:
    """`module` on the same memory for its weights, so that several of them need no more."""
    for one, other in zip(first.modules(), module.modules(), strict=True):
        other._parameters.update(one._parameters)
    return module


def _checked(row: Row, graphs: _Graphs, pairs: Sequence[tuple[Batch, Batch]]) -> KeyCheck:
    replays, hint, late = 0, None, ""
    for one, two in pairs:
        try:
            mine, other = graphs[one], graphs[two]
            late = late or mine.blocked or other.blocked
        except Exception:
            if one.dtype is two.dtype:
                raise
            continue  # a tower that takes no other dtype has no batch of it
        error = mine.replayed_with(other)
        replays += 1
        difference = first_difference(mine.tape, other.tape)
        hint = hint or difference
        if error is None or error > LIMIT:
            check = _refuted(one, two, error, inside=row.plan == "inside" and mine.baked and one.dtype is two.dtype)
            told = check.reason if difference or error is None else f"{check.reason}; {HELD}"
            return check.model_copy(update={"reason": told, "replays": replays, "difference": difference, "late": late})
    reason = f"{replays} replays came out as they should" if replays else "no two of the batches tried share it"
    return KeyCheck(verdict="not refuted", reason=reason, replays=replays, difference=hint, late=late)


def _refuted(captured: Batch, fed: Batch, error: float | None, *, inside: bool) -> KeyCheck:
    place = "has inputs of other shapes" if error is None else f"comes out {error:.2g} off"
    reason = f"{fed} {place} where the graph of {captured} is replayed"
    return KeyCheck(
        verdict="plans inside" if inside else "refuted",
        reason=f"{HAND_IN} ({reason})" if inside else reason,
        recorded=str(captured),
        fed=str(fed),
        error=error,
    )


class _Graphs(dict[Batch, BatchGraph]):
    """Each batch is captured once, when it is first asked for, on a tower that has seen no other batch."""

    def __init__(
        self, device: CountingDevice, fresh: Callable[[], Callable[[Batch, int], Call]], region: RegionAsked
    ) -> None:
        super().__init__()
        self._device, self._fresh, self._region = device, fresh, region

    def __missing__(self, batch: Batch) -> BatchGraph:
        seed, stages, made = len(self), Stages(), self._fresh()
        with listen(stages):
            made(batch, seed)()  # caches are filled before a capture
        before = [self._device.download(each).clone() for each in made(batch, seed)().values()]
        call = made(batch, seed)
        given = [call.pixels, call.grid_thw, *tensors_within(call.handed)]
        region = stages.region(*self._region) if self._region else None
        tape = GraphTape(given, region)
        with self._device.watch(region) as watch, listen(tape), tape:
            parts = call()
        tape.read(parts.values())
        _check_the_same(batch, before, [self._device.download(each) for each in parts.values()])
        if not tape.outputs or (region is None and any(id(each) not in tape.outputs for each in parts.values())):
            raise UsageError(NOTHING)
        baked = not isinstance(call.grid_thw, DeviceTensor) or bool(watch.blockers)
        ends = [f"its third forward has a {each.kind} at {each.where.place}" for each in watch.blockers]
        self[batch] = BatchGraph(tape, baked, next(iter(ends), ""))
        return self[batch]


def _check_the_same(batch: Batch, before: Sequence[Tensor], after: Sequence[Tensor]) -> None:
    """Raises UsageError where two forwards of a batch come to other results."""
    pairs = zip(before, after, strict=True)
    error = max((distance(new.nan_to_num(), old.nan_to_num()) for old, new in pairs), default=0.0)
    if error > LIMIT:
        raise UsageError(
            f"two forwards of {batch} come out {error:.2g} apart: its result is random, or follows from earlier calls"
        )


def tensors_within(value: Any) -> Iterator[Tensor]:
    """All tensors that something holds which is handed in: by name, in fields, or bound to a function."""
    if isinstance(value, Tensor):
        yield value
        return
    parts: Iterable[Any] = ()
    if isinstance(value, Mapping):
        parts = value.values()
    elif isinstance(value, list | tuple):
        parts = value
    elif isinstance(value, partial):
        parts = [*value.args, *value.keywords.values()]
    elif is_dataclass(value) and not isinstance(value, type):
        parts = [getattr(value, each.name) for each in fields(value)]
    elif not isinstance(value, type | nn.Module):
        parts = getattr(value, "__dict__", {}).values()
    for each in parts:
        yield from tensors_within(each)
