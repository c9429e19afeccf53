"""Find the forwards of the vision encoder in a capture, and the encoder's share of each step.

A capture of a server rarely has our ranges. Known ranges of serving stacks are tried in order, then the
repeating kernel sequence; how the forwards were found is always said. Where only a name or a pattern says so, there has
to be attention in it, too.
"""

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from vlbench.errors import UsageError
from vlbench.nsys.frames import Capture
from vlbench.nsys.projection import lay_out, project
from vlbench.nsys.sequence import ATTENTION, forwards_by_sequence
from vlbench.nsys.slices import parents, prefix
from vlbench.nsys.summary import given_pattern, labels

_MODULES = r".*:(visual|[\w.]*\.(visual|vision_tower|vision_model|vision_encoder|vit))"
_VISION = r"(?i).*:(vision|visual|vit)([ _.-]?(tower|encoder|transformer|model))?([ _.-]?forward)?"
GUESSED = "a name that says vision"
# (the source of the ranges, regular expression for the whole `domain:name`), the surest first.
PATTERNS = (
    ("vlbench", r"vlbench:forward"),
    ("modules, as vLLM and SGLang push them", _MODULES),
    ("TensorRT-LLM", r".*:\[Vision\] (?!pre|post).*"),
    (GUESSED, _VISION),
)


@dataclass(frozen=True)
class Forwards:
    """The encoder's forwards as range rows in time order, their projection, and how they were found."""

    ranges: pd.DataFrame
    projected: pd.DataFrame
    how: str


@dataclass(frozen=True)
class Share:
    """The encoder's part of the steps around it; `step` says what a step is here."""

    step: str
    steps: int
    encoder_busy_ns: int
    step_busy_ns: int

    @property
    def of_busy(self) -> float:
        """Encoder's GPU busy time over all GPU busy time of the steps."""
        return self.encoder_busy_ns / self.step_busy_ns if self.step_busy_ns else float("nan")


def find_forwards(capture: Capture, pattern: str | None = None) -> Forwards | None:
    """The encoder's forwards, or None where nothing looks like one.

    `pattern` is searched in `domain:name` and then is the only source; UsageError where it matches no range.
    A match inside another match is part of it, not a forward of its own.
    """
    label = labels(capture.ranges)
    known = [str(name) for name in label.cat.categories]
    if pattern is not None:
        expression = given_pattern("--range", pattern)
        matching = [name for name in known if expression.search(name)]
        if not matching:
            raise UsageError(f"{capture.path}: --range {pattern!r} matches no range; `vlbench nsys report` lists them")
        return _from_ranges(capture, label.isin(matching), f"ranges matching {pattern!r}")
    for source, wanted in PATTERNS:
        matching = [name for name in known if re.fullmatch(wanted, name)]
        if matching and source is GUESSED and not _attends(capture, label.isin(matching)):
            continue
        if matching:
            return _from_ranges(capture, label.isin(matching), f"ranges of {source}: {', '.join(sorted(matching)[:3])}")
    found = forwards_by_sequence(capture)
    if found is None:
        return None
    rows, how = found
    return Forwards(rows, project(capture, rows), how)


def _from_ranges(capture: Capture, chosen: pd.Series, how: str) -> Forwards:
    rows = _outermost(capture.ranges[chosen])
    return Forwards(rows, project(capture, rows), how)


def _attends(capture: Capture, chosen: pd.Series) -> bool:
    """Do the ranges hold a kernel of attention, or none by name, as where CUDA graphs ran?"""
    ops = capture.gpu_ops
    names = ops["name"].cat
    attends = np.array([bool(ATTENTION.search(str(name))) for name in names.categories] + [False], dtype=bool)
    layout = lay_out(capture, capture.ranges[chosen])
    kernels = layout.ops_sum((ops["kind"] == "kernel").to_numpy())
    return not kernels.any() or bool(layout.ops_sum(attends[names.codes.to_numpy()]).any())


def _outermost(ranges: pd.DataFrame) -> pd.DataFrame:
    """Those inside no other of their thread, in the order of their start."""
    above, _ = parents(pd.factorize(ranges["tid"])[0], ranges["start"].to_numpy(), ranges["end"].to_numpy())
    return ranges[above < 0].sort_values("start", kind="stable")


def share(capture: Capture, forwards: Forwards) -> Share | None:
    """The encoder's share of GPU busy time; None where there is neither an enclosing range nor a second forward.

    A step is the outermost range around a forward where each forward has its own, else the time from one
    forward's first kernel to the next one's.
    """
    table = forwards.projected[forwards.projected["gpu_ops"] > 0]
    around = _enclosing(capture, forwards.ranges.loc[table.index])
    if around is not None:
        steps = project(capture, around)
        name = labels(around).iloc[0]
        return Share(f"the range {name}", len(steps), int(table["busy_ns"].sum()), int(steps["busy_ns"].sum()))
    if len(table) < 2:
        return None
    edges = np.sort(table["gpu_start"].to_numpy())
    busy = busy_before(capture, edges)
    encoder = table.sort_values("gpu_start")["busy_ns"].iloc[:-1].sum()
    return Share(
        "from one forward's first kernel to the next one's", len(edges) - 1, int(encoder), int(busy[-1] - busy[0])
    )


def busy_before(capture: Capture, moments: np.ndarray) -> np.ndarray:
    """For each moment, how long any GPU operation of the capture had run before it."""
    ops = capture.gpu_ops.sort_values("start", kind="stable")
    start, end = ops["start"].to_numpy(), ops["end"].to_numpy()
    if not start.size:
        return np.zeros(moments.size, dtype=np.int64)
    reach = np.maximum.accumulate(end)
    fresh = np.flatnonzero(np.append(True, start[1:] > reach[:-1]))  # first operation of each busy stretch
    begins, ends = start[fresh], np.append(reach[fresh[1:] - 1], reach[-1])
    total = prefix(ends - begins)
    stretch = np.searchsorted(begins, moments, side="right")
    last = np.maximum(stretch - 1, 0)
    return total[stretch] - np.where(stretch > 0, np.maximum(ends[last] - moments, 0), 0)


def _enclosing(capture: Capture, forwards: pd.DataFrame) -> pd.DataFrame | None:
    """The outermost range around each forward where all are there and all are different."""
    others = capture.ranges.drop(index=forwards.index.intersection(capture.ranges.index))
    others = others[~others["moved"] & ~others["open"] & others["tid"].isin(forwards["tid"])]
    if others.empty or forwards.empty:
        return None
    threads = dict(iter(_outermost(others).groupby("tid")))
    chosen = []
    for tid, start, end in forwards[["tid", "start", "end"]].itertuples(index=False):
        outer = threads.get(tid, others.iloc[:0])
        place = int(outer["start"].searchsorted(start, side="right")) - 1
        if place < 0 or outer["end"].iloc[place] < end:
            return None
        chosen.append(outer.index[place])
    return capture.ranges.loc[chosen] if len(set(chosen)) == len(chosen) else None
