"""On a machine with a GPU: runs towers under the profiler, counts the same towers, and learns from both.

Both happen in one process, so that they see the same torch, the same code and the same choices.
"""

import gc
import json
import re
import sys
import warnings
from collections import Counter as Multiset
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile, record_function

from vlbench.counting.job import CountJob, Point
from vlbench.counting.learn import Pair, check, largest_error, learn
from vlbench.counting.measure import CUDA, count_tower
from vlbench.counting.rows import Row, rows_of
from vlbench.counting.run import Steps
from vlbench.counting.trace import FORWARD, observe
from vlbench.counting_device import PROFILES, CountingDevice
from vlbench.counting_device.profiles import VERSION, cudnn_of
from vlbench.counting_device.where import cause_line
from vlbench.errors import UsageError
from vlbench.implementations.adapted import handed_over
from vlbench.process.scratch import Scratch
from vlbench.profiling.trace import warm_profiler
from vlbench.record.calibration import Calibration
from vlbench.record.counts import Counts
from vlbench.record.destinations import check_folder, check_output
from vlbench.record.files import write_whole
from vlbench.record.fingerprint import dotted
from vlbench.record.precision import turn_tf32_off
from vlbench.record.site import Where
from vlbench.towers.resolve import resolve_tower
from vlbench.version import __version__

SYNC_WARNING = "synchronizing CUDA operation"


def calibrate(job: CountJob, folder: Path, *, force: bool = False, steps: Steps = lambda done, of: None) -> Calibration:
    """Profile and count every tower of `job` on this GPU, each a step on each point. UsageError where there is none.

    Also for a file in `folder`, which is made, that cannot be written, or is there and may not be replaced.
    """
    if not torch.cuda.is_available():
        raise UsageError("calibrate: torch sees no GPU here; run it on a machine with the GPU that it is to learn from")
    capability = "sm_{}{}".format(*torch.cuda.get_device_capability())
    if capability not in PROFILES:
        raise UsageError(f"calibrate: there is no profile for {capability}; those known are {', '.join(PROFILES)}")
    check_folder(folder, f"--out {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    check_output(_goal(folder, torch.cuda.get_device_name(), torch.__version__), "--out", force=force)
    dtype, rows = getattr(torch, job.dtype), rows_of(job)
    cudnn = installed_cudnn()  # counted as it was profiled: here, and nowhere else, as the machine has it
    cells = [(row, point) for row in rows for point in job.points]
    profiles, pairs = [], []
    for row, point in cells:
        profiles.append((row, point, *profile_warm(row, point, dtype)))
        steps(len(profiles), 2 * len(cells))
    with CountingDevice("ghost", capability, cudnn) as device:
        for row, point, events, warned in profiles:
            counts = _counted(device, row, point, dtype)
            names = {kind.operation for kind in counts.kinds}
            pairs.append(Pair(row.name, job.dtype, counts, observe(events, names), warned))
            steps(len(cells) + len(pairs), 2 * len(cells))
    return calibration(pairs, torch.cuda.get_device_name(), capability, torch.__version__, cudnn)


def installed_cudnn() -> str:
    """The cuDNN that torch uses here. Raises UsageError where that is none whose attention is known."""
    version: int | None = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
    found = dotted(version)
    if found is None or not VERSION.fullmatch(found):
        has = f"cuDNN {found}" if found else "no cuDNN"
        raise UsageError(f"calibrate: torch has {has} here, and how it attends is known of cuDNN 9 alone; install that")
    return cudnn_of(found)


def calibration(pairs: Sequence[Pair], gpu: str, profile_name: str, torch_version: str, cudnn: str = "") -> Calibration:
    """All that these forwards teach."""
    checks = check(pairs)
    return Calibration(
        created=datetime.now(UTC),
        vlbench=__version__,
        gpu=gpu,
        profile=profile_name,
        cudnn=cudnn,
        torch_version=torch_version,
        entries=learn(pair.observed for pair in pairs),
        checks=checks,
        error=largest_error(checks),
        out_of_sample=len({pair.tower for pair in pairs}) > 1,
    )


def write_calibration(found: Calibration, folder: Path) -> Path:
    """Write `<gpu>-torch<version>.json` into `folder`, which is made; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = _goal(folder, found.gpu, found.torch_version)
    write_whole(path, found.model_dump_json(indent=1) + "\n")
    return path


def _goal(folder: Path, gpu: str, torch_version: str) -> Path:
    slug = re.sub(r"[^a-z0-9]+", "-", gpu.lower()).strip("-")
    return folder / f"{slug}-torch{torch_version.partition('+')[0]}.json"


def profile_warm(row: Row, point: Point, dtype: torch.dtype) -> tuple[list[dict[str, Any]], Mapping[Where, int]]:
    """The profiler's events of a warm forward on the GPU, and the lines at which torch warned of a sync in another."""
    tower = resolve_tower(row.tower)
    grids = point.fed_to(tower.fed).grids
    with torch.inference_mode():
        module = tower.build(CUDA, dtype)
        turn_tf32_off()  # as in all that is measured; the tower's package may have turned it on
        pixels = torch.randn(tower.fed.pixels_shape(grids), device=CUDA, dtype=dtype)
        grid_thw = handed_over(module, pixels, torch.tensor(grids, dtype=torch.int64))
        for _ in range(2):
            module(pixels, grid_thw)
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("warn")
        try:
            with warned_lines() as warned:
                module(pixels, grid_thw)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        torch.cuda.synchronize()
        events = profiled(module, pixels, grid_thw, [ProfilerActivity.CPU, ProfilerActivity.CUDA])
    del module
    gc.collect()
    torch.cuda.empty_cache()
    return events, warned


@contextmanager
def warned_lines() -> Iterator[Multiset[Where]]:
    """Lines at which torch warns of a sync inside the block; other warnings go where they went.

    Torch warns while `torch.cuda.set_sync_debug_mode("warn")` holds.
    """
    lines: Multiset[Where] = Multiset()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        show = warnings.showwarning

        def note(message: Warning | str, *rest: object, **more: object) -> None:
            if SYNC_WARNING in str(message):
                lines[cause_line(_outside_warnings(sys._getframe(1)))] += 1
            else:
                show(message, *rest, **more)  # type: ignore[arg-type]

        warnings.showwarning = note
        yield lines


def _outside_warnings(frame: FrameType | None) -> FrameType | None:
    while frame is not None and frame.f_code.co_filename.endswith("warnings.py"):
        frame = frame.f_back
    return frame


def profiled(
    module: nn.Module, pixels: torch.Tensor, grid_thw: torch.Tensor, activities: list[ProfilerActivity]
) -> list[dict[str, Any]]:
    """The events of one forward, annotated as `FORWARD`."""
    if ProfilerActivity.CUDA in activities:
        warm_profiler()
    with profile(activities=activities, record_shapes=True) as profiler:
        with record_function(FORWARD):
            module(pixels, grid_thw)
        if ProfilerActivity.CUDA in activities:
            torch.cuda.synchronize()
    with Scratch() as folder:
        path = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(path))
        events: list[dict[str, Any]] = json.loads(path.read_text(), parse_float=str)["traceEvents"]
    return events


def _counted(device: CountingDevice, row: Row, point: Point, dtype: torch.dtype) -> Counts:
    found, _ = count_tower(device, row, point, dtype)
    if found.warm is None:
        raise UsageError(f"calibrate: {row.name} cannot be counted: {found.failed}; leave it out")
    return found.warm.counts
