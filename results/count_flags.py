"""What each flag changes in the counters of the 7B tower: `python -m results.count_flags` writes results/flags.

Blocks of one kind count alike. So three towers of one and two blocks tell what a block with windows asks for, what one
without, and what all the rest; the counters of 32 blocks follow exactly, as a test at full depth shows.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache

import torch

from vlbench.counting.job import counted_points
from vlbench.counting.measure import CUDA
from vlbench.counting_device import CountingDevice
from vlbench.counting_device.counter import Counter
from vlbench.counting_device.profiles import CUDNN
from vlbench.implementations import build_tower
from vlbench.implementations.config import MODELS, VisionConfig
from vlbench.implementations.optimized import OPTIMIZATIONS, USUAL, Optimization, preset_flags, with_requirements
from vlbench.implementations.weights import SharedTensors, parameter_shapes
from vlbench.record.base import Grid
from vlbench.record.files import write_whole
from vlbench.record.flag_counts import CHURN_PLANS, PATH, FlagCounts, StoredCounts, Totals
from vlbench.record.schema import NO_FLAGS
from vlbench.trial.churn import churned
from vlbench.version import __version__
from vlbench.workload.seam_case import Setting
from vlbench.workload.seams import CASES

MODEL, WITH_DEEPSTACK = MODELS["qwen2.5-vl-7b"], MODELS["qwen3-vl-8b"]
"""On which flags are counted, and those that mean nothing there."""
DTYPE, PROFILE = torch.bfloat16, "sm_90"
SCENARIOS = ("single-image", "multi-image")
CHURN = 8
"""Calls on changing grids."""

Flags = frozenset[str] | None
"""None for the reference tower."""


def grids_of(scenario: str, config: VisionConfig = MODEL) -> tuple[Grid, ...]:
    """What a scenario of one point feeds in at its full size."""
    (point,) = counted_points(scenario, ())
    return point.fed_to(config.preprocessing).grids


def model_for(flag: Optimization) -> VisionConfig:
    """On which a flag is counted."""
    return WITH_DEEPSTACK if flag.inapplicable(MODEL, "cuda", alone=True) else MODEL


def count_at(config: VisionConfig, flags: Flags, grids: Sequence[Grid], device: CountingDevice) -> Totals:
    """The counters of the second forward of a tower of this shape."""
    return totals(_count_calls(config, flags, [grids, grids], device)[-1])


@cache
def plans_of(
    flags: Flags, grids: tuple[Grid, ...], device: CountingDevice, config: VisionConfig = MODEL, churn: int = CHURN
) -> tuple[int, ...]:
    """Attention plans that cuDNN builds in each call of a new process: two on `grids`, then `churn` on changing ones.

    Blocks of one kind attend alike, so two blocks ask for all of them, one of which sees whole frames. 0 wherever the
    device's profile does not prefer cuDNN.
    """
    full, deep = ((1,) if config.fullatt_block_indexes else ()), ((0,) if config.deepstack_blocks else ())
    shape = replace(config, depth=2, fullatt_block_indexes=full, deepstack_blocks=deep)
    changing = [churned(grids, config.preprocessing, 0, number) for number in range(churn)]
    device.forget_plans()
    calls = _count_calls(shape, flags, [grids, grids, *changing], device)
    return tuple(totals(counter)["attention_plans"] for counter in calls)


def _count_calls(
    config: VisionConfig, flags: Flags, calls: Sequence[Sequence[Grid]], device: CountingDevice
) -> list[Counter]:
    """Each call of one tower, counted."""
    gc.collect()  # a dead tower must not be taken for live memory
    module, counters = device.build(lambda: build_tower(config, flags, weights_of(config, device), "cuda")), []
    for grids in calls:
        pixels = device.pixels((sum(t * h * w for t, h, w in grids), config.patch_dim), DTYPE)
        with torch.inference_mode(), device.count() as counter:
            module(pixels, torch.tensor(grids))
        counters.append(counter)
    return counters


def weights_of(config: VisionConfig, device: CountingDevice) -> SharedTensors:
    """Shapes of weights, without values."""
    shapes = parameter_shapes(config)
    return SharedTensors({key: device.pixels(tuple(shape), DTYPE) for key, shape in shapes.items()})


def totals(counter: Counter) -> Totals:
    """All counters of a forward. Raises RuntimeError where it was not counted whole."""
    report = counter.report
    if not report.complete:
        raise RuntimeError(f"not counted: {report.unknown or report.not_measured}")
    memory = {"live_bytes": report.live_bytes_before, "peak_live_bytes": report.peak_live_bytes}
    return report.total.model_dump() | memory | report.operations


@cache
def count_deep(flags: Flags, grids: tuple[Grid, ...], device: CountingDevice, config: VisionConfig = MODEL) -> Totals:
    """The counters of all blocks: with windows, from towers of one and two."""
    if config.window_size is None:
        return count_at(config, flags, grids, device)
    windowed, whole, both = (
        count_at(replace(config, depth=depth, fullatt_block_indexes=full), flags, grids, device)
        for depth, full in ((1, ()), (1, (0,)), (2, (1,)))
    )
    last = len(config.fullatt_block_indexes) - 1
    more = config.depth - 2 - last
    names = windowed | whole | both
    one, other, two = ({name: each.get(name, 0) for name in names} for each in (windowed, whole, both))
    deep = {name: two[name] + more * (two[name] - other[name]) + last * (two[name] - one[name]) for name in names}
    # Of what a forward holds at once, the weights alone grow with the blocks.
    deep["peak_live_bytes"] = both["peak_live_bytes"] + deep["live_bytes"] - both["live_bytes"]
    return deep


def count_tower(flags: Flags, grids: tuple[Grid, ...], device: CountingDevice, config: VisionConfig = MODEL) -> Totals:
    """The counters of all blocks, and the attention plans of changing grids."""
    churn = plans_of(flags, grids, device, config)[-CHURN:]
    return count_deep(flags, grids, device, config) | {CHURN_PLANS: sum(churn)}


def count_seam(flag: Optimization, chosen: bool, device: CountingDevice) -> Totals:
    """The counters of one call of a seam outside of the tower, with a flag or in the naive way."""
    case = next(each for each in CASES.values() if flag.seam in each.seams)
    size = next(iter(case.sizes.values()))
    inputs = case.make(size, Setting(MODEL, DTYPE, CUDA, torch.Generator().manual_seed(0)))
    way = inputs.way(frozenset([flag.flag] if chosen else []), DTYPE)
    with torch.inference_mode(), device.count() as counter:
        way(*inputs.arguments[0])
    return totals(counter)


def difference(after: Totals, before: Totals) -> dict[str, int]:
    """By how much each counter moved that did."""
    moved = {name: after.get(name, 0) - before.get(name, 0) for name in before | after}
    return {name: much for name, much in moved.items() if much}


def moved_by(flag: Optimization, device: CountingDevice, scenarios: Sequence[str] = SCENARIOS) -> FlagCounts:
    """What one flag changes."""
    if flag.uncounted:
        return FlagCounts(uncounted=flag.uncounted, moves={})
    if not flag.seam.in_tower:
        moved = difference(count_seam(flag, True, device), count_seam(flag, False, device))
        return FlagCounts(moves={f"seam {flag.seam.name}": moved})
    beside, moves, config = with_requirements([*flag.requires, *flag.beside]), {}, model_for(flag)
    for scenario in scenarios:
        grids = grids_of(scenario, config)
        after, before = (count_tower(flags, grids, device, config) for flags in (beside | {flag.flag}, beside))
        moves[scenario] = difference(after, before)
    return FlagCounts(model="" if config is MODEL else config.name, beside=tuple(sorted(beside)), moves=moves)


def named_towers() -> Iterator[tuple[str, Flags]]:
    """The reference tower, the tower without flags, and the presets."""
    for name in USUAL:
        yield name, None if name == "baseline" else preset_flags(name, MODEL, "cuda")[0]
    yield NO_FLAGS, frozenset()


def count_all() -> StoredCounts:
    """Every flag and preset."""
    with CountingDevice("ghost", PROFILE) as device:
        towers = {
            name: {scenario: count_tower(flags, grids_of(scenario), device) for scenario in SCENARIOS}
            for name, flags in named_towers()
        }
        flags = {}
        for flag in OPTIMIZATIONS.values():
            flags[flag.flag] = moved_by(flag, device)
            print(flag.flag, flush=True)
    return StoredCounts(
        vlbench=__version__,
        model=MODEL.name,
        dtype=str(DTYPE).removeprefix("torch."),
        profile=PROFILE,
        cudnn=CUDNN,
        torch_version=torch.__version__.partition("+")[0],
        towers=towers,
        flags=flags,
    ).with_checksum()


if __name__ == "__main__":
    write_whole(PATH.resolve(), count_all().model_dump_json(indent=1) + "\n")
