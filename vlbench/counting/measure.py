"""Counts one tower on one call: the first forward, and the second."""

import gc
import traceback
from collections import Counter as Multiset
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from vlbench.counting.advice import sites_of
from vlbench.counting.further import count_further, smallest
from vlbench.counting.job import Point
from vlbench.counting.rows import Row
from vlbench.counting_device import CountingDevice
from vlbench.counting_device.counter import questions
from vlbench.counting_device.ordered import OrderedRecord
from vlbench.counting_device.tensor import DeviceTensor
from vlbench.counting_device.where import spelled
from vlbench.errors import UsageError, in_one_line
from vlbench.implementations.adapted import HandedIn, handed_over
from vlbench.implementations.config import MODELS
from vlbench.implementations.output import Parts, unpack
from vlbench.implementations.preprocessing import Grid
from vlbench.implementations.stage import listen
from vlbench.implementations.weights import SharedTensors, parameter_shapes
from vlbench.record.counted import CountedTower, Forward, Further
from vlbench.record.counts import Counts
from vlbench.record.sequence import Event
from vlbench.record.site import Where
from vlbench.record.work import Work
from vlbench.towers.resolve import resolve_tower
from vlbench.towers.tower import Tower
from vlbench.version import FOLDER

CUDA = torch.device("cuda", 0)
_OURS = str(FOLDER)


def count_tower(device: CountingDevice, row: Row, point: Point, dtype: torch.dtype) -> tuple[CountedTower, Point]:
    """The row counted, or the reason why it cannot be, and `point` with the grids that the tower was fed.

    Raises UsageError for a tower that cannot be had as asked.
    """
    before = _listed(device)
    tower, point = resolved(device, row.tower, point, replayed=True)
    cold = warm = None
    failed = None
    try:
        cold, warm = (seen.forward for seen in two_forwards(device, tower, point, dtype, row))
    except UsageError as error:  # of the counting device: it names what it cannot know, and the line
        failed = str(error)
    except Exception as error:  # whatever a tower raises
        failed = with_place(error)
    counted = CountedTower(
        name=row.name,
        tower=row.tower,
        source=row.source,
        plan=row.plan,
        making=row.making,
        cold=cold,
        warm=warm,
        questions=questions(_listed(device) - before),
        left_out=row.left_out,
        failed=failed,
    )
    return counted, point


def resolved(device: CountingDevice, text: str, point: Point, *, replayed: bool = False) -> tuple[Tower, Point]:
    """The tower that `text` names, for an open device, and `point` with the grids that it is fed.

    Recorded calls are there as such where they are to be `replayed`, else the most frequent of them is.
    Raises UsageError for a tower that cannot be had as asked.
    """
    gc.collect()  # a module is full of cycles, and a dead tower must not be taken for live memory
    with device.building():  # what a factory makes: weights have no values, and take no memory
        tower = resolve_tower(text)
    point = point.replayed(tower.fed) if replayed else point.fed_to(tower.fed)
    if reason := tower.fed.misfit(point.grids):
        raise UsageError(f"{tower.name}: {reason}")
    return tower, point


def refuse_platform(tower: Tower) -> None:
    """Raises UsageError for code that is another on a GPU, where what is counted is to stand for a GPU's."""
    if tower.platform:
        told = f"{tower.name}: its code is for a {tower.platform}, and would be another on a GPU"
        raise UsageError(f"{told}; `vlbench count` counts it by itself")


def further_of(device: CountingDevice, tower: str, dtype: torch.dtype) -> tuple[Further, Work | None]:
    """The counts of further calls of a tower that could be counted, and the work of one as `count_further` has it."""
    gc.collect()
    device.branch = True
    try:
        with CUDA:
            found = resolve_tower(smallest(tower))
        return count_further(device, found, lambda each: build_ghost(device, each, dtype), dtype)
    except Exception as error:  # whatever a tower raises when it is built again
        return Further(calls={}, failed={"every call": with_place(error)}), None


def build_ghost(device: CountingDevice, tower: Tower, dtype: torch.dtype) -> nn.Module:
    """The tower on a ghost device: shapes of weights, no values."""
    weights = ghost_weights(device, tower.model, dtype) if tower.model in MODELS else None
    return device.build(lambda: tower.build(CUDA, dtype, weights))


def as_row(module: nn.Module, row: Row) -> nn.Module:
    """The tower, called as the row has it: with its plan handed in or not."""
    return module if row.plan == "inside" else HandedIn(module, host_lengths=row.plan == "host")


class Call(NamedTuple):
    """A call of a tower, whose arguments are there: a plan that is handed in is made."""

    module: nn.Module
    pixels: Tensor
    grid_thw: Tensor
    handed: dict[str, Any]

    def __call__(self) -> Parts:
        """What it returns."""
        return unpack(self.module(self.pixels, self.grid_thw, **self.handed), DeviceTensor)


def call_of(
    device: CountingDevice, module: nn.Module, tower: Tower, grids: Sequence[Grid], dtype: torch.dtype, seed: int = 0
) -> Call:
    """A call of a tower as a row has it, on these grids; `seed` is that of pixels that have values."""
    pixels = device.pixels(tower.fed.pixels_shape(grids), dtype, seed=seed)
    grid_thw = handed_over(module, pixels, torch.tensor(grids, dtype=torch.int64))
    return Call(module, pixels, grid_thw, {"plan": module.plan(grid_thw)} if isinstance(module, HandedIn) else {})


def ghost_weights(device: CountingDevice, model: str, dtype: torch.dtype) -> SharedTensors:
    """A state dict of one of our models, of shapes alone."""
    shapes = parameter_shapes(MODELS[model])
    return SharedTensors({key: device.pixels(tuple(shape), dtype) for key, shape in shapes.items()})


class Seen(NamedTuple):
    """One forward: its counts, and what happened in it, in order, where that was asked for."""

    forward: Forward
    events: tuple[Event, ...]


def two_forwards(
    device: CountingDevice, tower: Tower, point: Point, dtype: torch.dtype, row: Row, *, ordered: bool = False
) -> tuple[Seen, Seen]:
    """The first forward of a new module and the second, with their events where it is `ordered`.

    Where floats decide which way code goes, each way is counted, and the dearer one is it. Raises whatever the tower
    raises, and UsageError for what cannot be counted.
    """
    cold, warm = _one_way(device, tower, point, dtype, row, ordered, branch=True)
    if any(each.branch for seen in (cold, warm) for each in seen.forward.counts.assumptions):
        other = _one_way(device, tower, point, dtype, row, ordered, branch=False)
        cold, warm = (
            max(pair, key=lambda seen: cost(seen.forward.counts)) for pair in zip((cold, warm), other, strict=True)
        )
    return cold, warm


def _one_way(
    device: CountingDevice, tower: Tower, point: Point, dtype: torch.dtype, row: Row, ordered: bool, *, branch: bool
) -> tuple[Seen, Seen]:
    device.branch = branch
    device.forget_plans()
    module = as_row(build_ghost(device, tower, dtype), row)
    with torch.inference_mode():
        cold, warm = (
            _forward(device, module, tower, point, dtype, making=row.making, ordered=ordered) for _ in range(2)
        )
        if isinstance(module, HandedIn):  # only now, so that the first forward is the first
            grids = point.each_call[0]
            pixels = device.pixels(tower.fed.pixels_shape(grids), dtype)
            module.check_lengths(handed_over(module, pixels, torch.tensor(grids, dtype=torch.int64)))
    return cold, warm


def cost(counts: Counts) -> tuple[int, int]:
    """By which the dearer of two ways is chosen: all waits, then operations."""
    return counts.total.host_syncs + counts.total.allowed_syncs, counts.total.device_operations


def _forward(
    device: CountingDevice,
    module: nn.Module,
    tower: Tower,
    point: Point,
    dtype: torch.dtype,
    *,
    making: bool,
    ordered: bool,
) -> Seen:
    record, calls = OrderedRecord(), []
    noise = device.pixels(max(tower.fed.pixels_shape(grids) for grids in point.each_call), dtype)
    for grids in point.each_call:
        shape = tower.fed.pixels_shape(grids)
        pixels = noise if noise.shape == shape else noise[: shape[0]]
        grid_thw = handed_over(module, pixels, torch.tensor(grids, dtype=torch.int64))
        handed = {"plan": module.plan(grid_thw)} if isinstance(module, HandedIn) and not making else {}
        calls.append((pixels, grid_thw, handed))
    with device.count(*([record] if ordered else [])) as counter, listen(counter):
        for pixels, grid_thw, handed in calls:
            if isinstance(module, HandedIn) and making:
                module.plan(grid_thw)
            else:
                unpack(module(pixels, grid_thw, **handed), DeviceTensor)
    sent = sum(grid_thw.nbytes for _, grid_thw, _ in calls if grid_thw.device.type != "cpu")
    key = counter.report.key.model_copy(update={"platform": tower.platform})
    counts = counter.report.model_copy(update={"key": key})
    found = Forward(counts=counts, sites=sites_of(counts), grids_sent=sent)
    return Seen(found, tuple(record.events))


def _listed(device: CountingDevice) -> Multiset[tuple[str, str, Where]]:
    return Multiset({(each.question, each.answer, each.where): each.times for each in device.questions})


def with_place(error: Exception) -> str:
    """What a tower raised, in one line, with the innermost line of its code."""
    at = ""
    for frame, number in traceback.walk_tb(error.__traceback__):
        file = frame.f_code.co_filename
        if not file.startswith((_OURS, _TORCH)):
            at = f" at {spelled(file, str(frame.f_globals.get('__name__', '')))}:{number}"
    return in_one_line(error, at)


_TORCH = str(Path(torch.__file__).parent)
