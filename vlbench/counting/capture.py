"""Can a forward of a tower, or a region of it, be a CUDA graph? What would end a capture, with its lines."""

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from functools import partial

import torch

from vlbench.counting.advice import sites_of
from vlbench.counting.job import Point
from vlbench.counting.measure import Call, as_row, build_ghost, call_of, refuse_platform, resolved, with_place
from vlbench.counting.rows import Row
from vlbench.counting_device import CountingDevice
from vlbench.counting_device.capture import StageError, Stages
from vlbench.counting_device.tensor import DeviceTensor
from vlbench.errors import UsageError
from vlbench.implementations.stage import listen
from vlbench.record.capturable import Blocker, BlockerKind, CapturableRow
from vlbench.record.site import Site

BEFORE: dict[BlockerKind, str] = {
    "pageable upload": "send it before the capture, and for each replay write into the same memory of the device",
    "waiting upload": "send it before the capture, and for each replay write into the same memory of the device",
    "pinned allocation": "pin memory once, before the capture, and write into it",
}
"""Advice that holds in a capture alone: pinning faster copies would end it, too."""

NOTHING = "there is nothing to capture: its result is not made by operations on the device, which a graph holds"

RegionAsked = tuple[str, str] | None


def lint(
    device: CountingDevice, row: Row, point: Point, dtype: torch.dtype, region: RegionAsked
) -> tuple[CapturableRow, Point]:
    """The row, looked at in its second forward on a ghost device, and `point` with the grids that it was fed.

    Raises UsageError for a tower that cannot be had as asked, and for stages that its forward does not have.
    """
    tower, point = resolved(device, row.tower, point)
    found: list[tuple[tuple[Blocker, ...], str | None]] = []
    parameters, failed = 0, None
    try:
        refuse_platform(tower)
        for branch in (True, False):  # where floats decide the way
            device.branch = branch
            module = as_row(build_ghost(device, tower, dtype), row)
            parameters = sum(each.numel() for each in module.parameters())
            call = partial(call_of, device, module, tower, point.grids, dtype)
            blockers, doubt, branches = _second_forward(device, call, region)
            found.append((blockers, doubt))
            if not branches:
                break
    except StageError as error:
        raise UsageError(f"{row.name}: {error}") from None
    except UsageError as error:  # of the counting device: it names what it cannot know, and the line
        failed = str(error)
    except Exception as error:  # whatever a tower raises
        failed = with_place(error)
    blockers, doubt = max(found, key=lambda each: len(each[0]), default=((), None))
    linted = CapturableRow(
        name=row.name,
        tower=row.tower,
        source=row.source,
        plan=row.plan,
        parameters=parameters,
        blockers=blockers,
        left_out=row.left_out,
        failed=failed or doubt,
    )
    return linted, point


def _second_forward(
    device: CountingDevice, call: Callable[[], Call], region: RegionAsked
) -> tuple[tuple[Blocker, ...], str | None, bool]:
    """What a capture of the second call would end on; in the first, caches are filled.

    Beside it why that may not be all, and whether floats decide the way.
    """
    stages = Stages()
    with torch.inference_mode():
        first = call()
        with device.count(), listen(stages):
            first()
        asked, second = stages.region(*region) if region else None, call()
        with device.count() as counter, device.watch(asked) as watch, listen(asked) if asked else nullcontext():
            parts = second()
    counts = counter.report
    blockers = tuple(_advised(watch.blockers, sites_of(counts)))
    on_host = region is None and not all(isinstance(each, DeviceTensor) for each in parts.values())
    nothing = NOTHING if not blockers and (on_host or not watch.operations) else None
    doubts = "; ".join([*filter(None, [counts.why_not_whole, nothing]), *watch.doubts])
    return blockers, doubts or None, any(each.branch for each in counts.assumptions)


def _advised(blockers: Iterable[Blocker], sites: Iterable[Site]) -> Iterable[Blocker]:
    """With what removes each."""
    known = {(site.operation, site.where, site.expression): site for site in sites}
    for each in blockers:
        site = known.get((each.operation, each.where, each.expression))
        if each.kind in BEFORE:
            yield each.model_copy(update={"advice": BEFORE[each.kind]})
        else:
            yield each.model_copy(update={"advice": site.advice, "flags": site.flags} if site else {})
