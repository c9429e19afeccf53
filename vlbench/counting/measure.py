"""Counts one tower on one call: the first forward, and the second."""

import gc
import traceback
from collections import Counter as Multiset
from pathlib import Path

import torch
from torch import nn

from vlbench.counting.advice import sites_of
from vlbench.counting.further import count_further, smallest
from vlbench.counting.job import Point
from vlbench.counting.rows import Row
from vlbench.counting_device import CountingDevice
from vlbench.counting_device.counter import questions
from vlbench.counting_device.tensor import DeviceTensor
from vlbench.counting_device.where import spelled
from vlbench.errors import UsageError, in_one_line
from vlbench.implementations.adapted import HandedIn, handed_over
from vlbench.implementations.config import MODELS
from vlbench.implementations.output import unpack
from vlbench.implementations.stage import listen
from vlbench.implementations.weights import SharedTensors, parameter_shapes
from vlbench.record.counted import CountedTower, Forward, Further
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
    gc.collect()  # a module is full of cycles, and a dead tower must not be taken for live memory
    before = _listed(device)
    with device.building():  # what a factory makes: weights have no values, and take no memory
        tower = resolve_tower(row.tower)
    point = point.fed_to(tower.fed)
    if reason := tower.fed.misfit(point.grids):
        raise UsageError(f"{tower.name}: {reason}")
    cold = warm = None
    failed = None
    try:
        cold, warm = _two_forwards(device, tower, point, dtype, row)
        if any(each.branch for forward in (cold, warm) for each in forward.counts.assumptions):
            other = _two_forwards(device, tower, point, dtype, row, branch=False)
            cold, warm = (max(pair, key=_cost) for pair in zip((cold, warm), other, strict=True))
    except UsageError as error:  # of the counting device: it names what it cannot know, and the line
        failed = str(error)
    except Exception as error:  # whatever a tower raises
        failed = _with_place(error)
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


def further_of(device: CountingDevice, tower: str, dtype: torch.dtype) -> tuple[Further, Work | None]:
    """The counts of further calls of a tower that could be counted, and the work of one as `count_further` has it."""
    gc.collect()
    device.branch = True
    try:
        with CUDA:
            found = resolve_tower(smallest(tower))
        return count_further(device, found, lambda each: build_ghost(device, each, dtype), dtype)
    except Exception as error:  # whatever a tower raises when it is built again
        return Further(calls={}, failed={"every call": _with_place(error)}), None


def build_ghost(device: CountingDevice, tower: Tower, dtype: torch.dtype) -> nn.Module:
    """The tower on a ghost device: shapes of weights, no values."""
    weights = ghost_weights(device, tower.model, dtype) if tower.model in MODELS else None
    return device.build(lambda: tower.build(CUDA, dtype, weights))


def ghost_weights(device: CountingDevice, model: str, dtype: torch.dtype) -> SharedTensors:
    """A state dict of one of our models, of shapes alone."""
    shapes = parameter_shapes(MODELS[model])
    return SharedTensors({key: device.pixels(tuple(shape), dtype) for key, shape in shapes.items()})


def _two_forwards(
    device: CountingDevice, tower: Tower, point: Point, dtype: torch.dtype, row: Row, *, branch: bool = True
) -> tuple[Forward, Forward]:
    """The first forward of a new module and the second; where floats decide, code goes the way of `branch`."""
    device.branch = branch
    device.forget_plans()
    module = build_ghost(device, tower, dtype)
    if row.plan != "inside":
        module = HandedIn(module, host_lengths=row.plan == "host")
    with torch.inference_mode():
        cold, warm = (_forward(device, module, tower, point, dtype, making=row.making) for _ in range(2))
        if isinstance(module, HandedIn):  # only now, so that the first forward is the first
            pixels = device.pixels(tower.fed.pixels_shape(point.grids), dtype)
            module.check_lengths(handed_over(module, pixels, torch.tensor(point.grids, dtype=torch.int64)))
    return cold, warm


def _cost(forward: Forward) -> tuple[int, int]:
    total = forward.counts.total
    return total.host_syncs + total.allowed_syncs, total.device_operations


def _forward(
    device: CountingDevice, module: nn.Module, tower: Tower, point: Point, dtype: torch.dtype, *, making: bool
) -> Forward:
    pixels = device.pixels(tower.fed.pixels_shape(point.grids), dtype)
    grid_thw = handed_over(module, pixels, torch.tensor(point.grids, dtype=torch.int64))
    handed = {"plan": module.plan(grid_thw)} if isinstance(module, HandedIn) and not making else {}
    with device.count() as counter, listen(counter):
        if isinstance(module, HandedIn) and making:
            module.plan(grid_thw)
        else:
            unpack(module(pixels, grid_thw, **handed), DeviceTensor)
    sent = grid_thw.nbytes if grid_thw.device.type != "cpu" else 0
    return Forward(counts=counter.report, sites=sites_of(counter.report), grids_sent=sent)


def _listed(device: CountingDevice) -> Multiset[tuple[str, str, Where]]:
    return Multiset({(each.question, each.answer, each.where): each.times for each in device.questions})


def _with_place(error: Exception) -> str:
    at = ""
    for frame, number in traceback.walk_tb(error.__traceback__):
        file = frame.f_code.co_filename
        if not file.startswith((_OURS, _TORCH)):
            at = f" at {spelled(file, str(frame.f_globals.get('__name__', '')))}:{number}"
    return in_one_line(error, at)


_TORCH = str(Path(torch.__file__).parent)
