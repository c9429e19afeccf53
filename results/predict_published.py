"""Predictions beside published figures: `python -m results.predict_published [CAPTURE...]` writes results/predictions.

Nothing is chosen by what comes out: flags are those of the published code, as far as there are such, and a miss stays a
miss. With captures, what hosts take there is told by the host model of the other captures.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch

from vlbench.counting.job import Point
from vlbench.counting.rows import Row
from vlbench.counting.scaled import scaled
from vlbench.counting_device import CountingDevice
from vlbench.export.held_capture import host_band, hosts_in_words
from vlbench.export.predicted import band_cell, band_words
from vlbench.export.sheet import figure
from vlbench.judging.words import in_three_digits
from vlbench.kernel_times import board
from vlbench.predicting.captured import NEAR as NEAR_TIMES, HeldHost, Verdict, held_host
from vlbench.predicting.captured_host import MULTIPLES, act_times, apart
from vlbench.predicting.host import hosts
from vlbench.predicting.kernels import Kernels
from vlbench.predicting.predicted import Band, Predicted
from vlbench.predicting.rows import Simulated, band, row_of, simulated
from vlbench.predicting.timeline import Step, Stretch, simulate, steps_of, worlds
from vlbench.record.base import Checksummed, Grid, Record, read_intact
from vlbench.record.files import write_whole
from vlbench.record.sequence import Event, Kind, Operand
from vlbench.untrusted.files import Kind as FileKind
from vlbench.version import __version__

PATH = Path(__file__).parent / "predictions" / "published.json"
STORED = FileKind("write it anew with `python -m results.predict_published`", ours=True)
NEAR = 0.15
"""A time is hit where the predicted one, halfway between the hosts, is not further off."""

VLLM = (
    "host-grid+rope-table+rope-lowp+rope-cache+pinned-h2d+varlen+host-max-seqlen+rope-triton+patch-matmul"
    "+pos-embed-vectorized"
)
ENCODER = f"qwen3-vl-30b-a3b+{VLLM}"
SIZES: dict[str, tuple[int, int, float]] = {
    "HD": (44, 80, 31.8),
    "FullHD": (68, 120, 58.0),
    "QHD": (90, 160, 131.8),
    "4K": (136, 240, 543.4),
}
"""Rows and columns of patches, and milliseconds of the encoder with three images (vLLM #38065, GB200, bf16)."""
FP8 = {"HD": 0.87, "4K": 1.18}
"""Speed-up by attention in FP8, from the same report."""
TRTLLM_MAIN = "host-grid+no-empty-windows+rope-shared+no-einops+varlen+host-max-seqlen"
TRTLLM = (
    f"{TRTLLM_MAIN}+rope-table+rope-cache+device-pos-ids+pinned-h2d+argsort-inverse+rope-triton+fused-residual-norm"
)
SGLANG_MAIN = "rope-shared+block-mask"
SQUARE: Grid = (1, 36, 36)
WHY = {
    "vLLM #38065, three images, HD": (
        "a server's host, which does more between launches than the forwards that our captures are of; to be known: "
        "what it takes from launch to launch, of a capture of that server"
    ),
    "vLLM #38065, attention in FP8, HD": (
        "the same host, which has three casts more to launch for each call, and no queue to hide them behind; to be "
        "known: that host, how many kernels its casts are, and the time of its FP8 attention"
    ),
    "TensorRT-LLM #11943, 1 image of 36x36, launches": (
        "our two kernels stand for every element-wise step of rope and norms, of which that change kept most; to be "
        "known: its kernels by name before and after, of a capture of both"
    ),
}
"""What a miss is likely due to, and what would have to be known to tell."""


class Said(Record):
    """One published figure and what is predicted for it."""

    case: str
    published: str
    gpu: str
    predicted: str
    in_band: bool | None
    """Does the published figure lie between the ends of the prediction? None where there is no such figure."""
    verdict: Verdict
    note: str = ""
    why: str = ""
    """Of a miss: what the likely reason is."""


class Published(Checksummed):
    """All of them."""

    schema_version: Literal[1] = 1
    vlbench: str
    said: tuple[Said, ...]
    hosts: tuple[HeldHost, ...]


@dataclass(frozen=True)
class Forward:
    """A tower on grids, on a board."""

    row: Predicted
    found: Simulated


def predicted(tower: str, grids: Sequence[Grid], gpu: str, reference: Simulated | None = None) -> Forward:
    """The second forward."""
    point = Point(scenario="grid", label="", grids=tuple(grids))
    with CountingDevice("ghost", "sm_90") as device:
        counted = scaled(device, Row(tower, tower), point, torch.bfloat16)
        found = simulated(tower, tower, "warm", counted.chunks("warm"), Kernels(board(gpu)))
    return Forward(row_of(found, reference, None), found)


def told(row: Predicted) -> str:
    """The span in words."""
    if row.span is None or row.central is None:
        return row.failed or "-"
    ends = band_words(row.span.low * 1e3, row.span.high * 1e3).replace("-", " to ")
    return f"{ends} ms, halfway {in_three_digits(row.central * 1e3)} ms, bound by {row.bound}"


def times_of_vllm() -> Iterator[Said]:
    """vLLM #38065: encoder times at four sizes, and attention in FP8 at two."""
    for size, (rows, columns, ms) in SIZES.items():
        forward = predicted(ENCODER, [(1, rows, columns)] * 3, "gb200")
        central = forward.row.central
        verdict: Verdict = "not predicted"
        if central is not None:
            verdict = "hit" if abs(central * 1e3 / ms - 1) <= NEAR else "miss"
        if size == "HD":
            verdict = "hit" if forward.row.bound == "host" else "miss"
        off = f"{central * 1e3 / ms - 1:+.0%}" if central else ""
        note = f"{off}; held to being bound by the host" if size == "HD" else off
        case = f"vLLM #38065, three images, {size}"
        yield Said(
            case=case,
            published=f"{ms} ms",
            gpu="gb200",
            predicted=told(forward.row),
            in_band=within(ms / 1e3, forward.row.span),
            verdict=verdict,
            note=note,
            why=WHY.get(case, "") if verdict == "miss" else "",
        )
        if size in FP8:
            yield _fp8(size, forward.found)


def within(figure: float, ends: Band | None) -> bool | None:
    """Does it lie in the band? None without one."""
    return None if ends is None else ends.low <= figure <= ends.high


def _fp8(size: str, found: Simulated) -> Said:
    """Attention in half the time, which is the most that FP8 can give, and three casts before each call."""
    made = {each: _stretch_in_fp8(each, found.kernels) for each in dict.fromkeys(found.forward)}
    forward = [made[each] for each in found.forward]
    ratios = [run.span / simulate(forward, world).span for run, world in zip(found.runs, worlds(hosts()), strict=True)]
    ratio, published = band(ratios), FP8[size]
    verdict: Verdict = "hit" if (ratio.high < 1 if published < 1 else ratio.low > 1) else "miss"
    return Said(
        case=(case := f"vLLM #38065, attention in FP8, {size}"),
        published=f"{published}x",
        gpu="gb200",
        predicted=_ratio(ratio),
        in_band=within(published, ratio),
        verdict=verdict,
        why=WHY.get(case, "") if verdict == "miss" else "",
        note="direction; attention taken as twice as fast, the most that FP8 can give, with three casts a call: FP8 "
        "is not in the tables",
    )


def _stretch_in_fp8(stretch: Stretch, kernels: Kernels) -> Stretch:
    steps = [each for step in stretch.steps for each in _in_fp8(step, kernels)]
    return replace(stretch, steps=steps, effects={})


def _in_fp8(step: Step, kernels: Kernels) -> Iterator[Step]:
    if not step.event.attention or step.took is None:
        yield step
        return
    for each in step.event.operands[:3]:
        cast = Operand(each.shape, each.stride, "float8_e4m3fn")
        event = Event(Kind.OPERATION, "aten::_to_copy", step.event.stage, (each,), (cast,))
        yield from steps_of([event], kernels)
    half = replace(step.took, us=step.took.us / 2, low=step.took.low / 2, high=step.took.high / 2)
    yield replace(step, took=half)


def _ratio(found: Band) -> str:
    return f"{band_words(found.low, found.high, 2).replace('-', ' to ')}x"


def directions() -> Iterator[Said]:
    """What becomes faster, from counts alone."""
    for images in (1, 5):
        grids = [SQUARE] * images
        main = predicted(f"qwen2.5-vl-7b+{TRTLLM_MAIN}", grids, "h100")
        after = predicted(f"qwen2.5-vl-7b+{TRTLLM}", grids, "h100", main.found)
        case = f"TensorRT-LLM #11943, {images} image{'s' * (images > 1)} of 36x36"
        published = "183 -> 107 ms, 1.71x" if images == 5 else "faster, no figure"
        yield _faster(case, published, after.row, 183 / 107 if images == 5 else None)
        if images == 1:
            before, now = (len(_operations(each.found)) for each in (main, after))
            share = now / before - 1
            verdict: Verdict = "hit" if share < 0 and abs(share + 0.22) < 0.1 else "miss"
            told_as = f"{before:,} -> {now:,} operations, {share:+.0%}"
            yield Said(
                case=(launches := f"{case}, launches"),
                published="1571 -> 1220, -22 %",
                gpu="any",
                predicted=told_as,
                in_band=None,
                verdict=verdict,
                why=WHY.get(launches, "") if verdict == "miss" else "",
            )
    before_rope = predicted(f"qwen2.5-vl-7b+{SGLANG_MAIN}", [SQUARE], "h100")
    after_rope = predicted(f"qwen2.5-vl-7b+{SGLANG_MAIN}+rope-triton", [SQUARE], "h100", before_rope.found)
    published = "kernel 278.5 -> 29.8 us; serving +22 % of tokens per second"
    yield _faster("SGLang #10527, a rotary kernel, 36x36", published, after_rope.row)


def _operations(found: Simulated) -> list[Step]:
    return [step for stretch in found.forward for step in stretch.steps if step.event.kind is Kind.OPERATION]


def _faster(case: str, published: str, row: Predicted, figure: float | None = None) -> Said:
    verdict: Verdict = "not predicted" if row.ratio is None else "hit" if row.ratio.low > 1 else "miss"
    predicted_as = _ratio(row.ratio) if row.ratio else row.failed or "-"
    return Said(
        case=case,
        published=published,
        gpu=row.gpu,
        predicted=predicted_as,
        in_band=None if figure is None else within(figure, row.ratio),
        verdict=verdict,
        note="direction",
    )


def host_gaps(paths: Sequence[Path]) -> Iterator[HeldHost]:
    """Each capture by the host model of the others."""
    for act in apart(act_times(paths)):
        yield from (held for seen in act.seen if (held := held_host(act, seen)) is not None)


def stored() -> Published:
    """The file. Raises UsageError where it is not there, or was edited or damaged."""
    return read_intact(Published, PATH, STORED)


def published_table() -> str:
    """What was published beside what is predicted, as a Markdown table."""
    rows = ["| published | figure | predicted | on | in band | | |", "|---|---|---|---|---|---|---|"]
    for each in stored().said:
        in_band = {None: "-", True: "yes", False: "no"}[each.in_band]
        told = "; ".join(filter(None, (each.note, each.why and f"likely: {each.why}")))
        cells = (each.case, each.published, each.predicted, each.gpu, in_band, each.verdict, told)
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def host_table() -> str:
    """Hosts of captures beside the host model of the other captures, as a Markdown table."""
    head = "| capture | | samples | median, us | of the others | their band, us | holds | |"
    rows = [head, "|---|---|--:|--:|--:|--:|--:|---|"]
    for each in stored().hosts:
        own, band = figure(each.median, "{:.1f}").shown, band_cell("", host_band(each), 1).shown
        cells = (each.capture, each.act, f"{each.count:,}", own, f"{each.slow:.1f}", band)
        rows.append(f"| {' | '.join(cells)} | {figure(each.inside, '{:.0%}').shown} | {each.verdict} |")
    return "\n".join(rows)


def host_sentence() -> str:
    """How many are hits, and of how many the best figure for all acts in microseconds would be near the median."""
    found = [each for each in stored().hosts if each.median is not None]
    medians = [each.median for each in found if each.median and each.act not in MULTIPLES]
    constant = max(sum(least <= each <= least * NEAR_TIMES**2 for each in medians) for least in medians)
    near = sum(bool(each.near) for each in found)
    told = f"{hosts_in_words(found)} The median is near in {near}; one figure for all {len(medians)} whose median "
    return textwrap.fill(f"{told}is some microseconds, the best there is, would be near in {constant}.", 120)


def main(paths: Sequence[Path]) -> None:
    """Write the file anew; without captures what is stored of hosts stays."""
    kept = () if paths or not PATH.exists() else stored().hosts
    found = Published(
        vlbench=__version__, said=(*times_of_vllm(), *directions()), hosts=tuple(host_gaps(paths)) if paths else kept
    )
    PATH.parent.mkdir(exist_ok=True)
    write_whole(PATH, found.with_checksum().model_dump_json(indent=1) + "\n")


if __name__ == "__main__":
    main([Path(each) for each in sys.argv[1:]])
