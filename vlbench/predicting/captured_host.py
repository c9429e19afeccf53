"""What captures of real programs say about a host: microseconds from call to call, by kind of act."""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from vlbench.nsys.frames import Capture
from vlbench.nsys.read import load
from vlbench.predicting.host import MEANINGS, QUANTILES, Act, ActTimes, Seen

Samples = npt.NDArray[np.float64]
FUSED = re.compile(r"flash|fmha|sdpa|cudnn.*attn", re.IGNORECASE)
VIEWS = re.compile(
    r"aten::(view|_unsafe_view|as_strided|transpose|t|permute|slice|select|narrow|unsqueeze|squeeze|expand|split|chunk"
    r"|unbind|flatten|unflatten|view_as|alias|detach|unfold|reshape|_reshape_alias)$"
)
EMPTY = re.compile(r"aten::empty(_like|_strided)?$")
STRETCH = 20
"""Calls that ask for work one after another, from which on a thread is busy."""
LEAST = 4
"""Samples of a figure."""
SMALL = 16 * 1024
"""Bytes of copies such as bounds, lengths and single values."""
PAUSE = 1000.0
"""Microseconds from which on a gap is no cost of a call."""
STATED = {Act.PLAN: (25_000.0, 40_000.0), Act.WAIT: (1.06, 1.06)}
"""Fast and slow, in microseconds or as a multiple of a launch, where captures say nothing."""
MULTIPLES = {Act.ATTENTION, Act.WAIT}
FAST = {Act.ATTENTION: 1.0}
"""Of the fast host, in place of what captures say."""
SOURCES = {
    Act.PLAN: "SGLang #4650 has 23 to 37 ms",
    Act.WAIT: "no capture has four of them; `item()` against `add` on one H200, where both were timed in a loop",
    Act.ATTENTION: "no capture has SDPA: what was seen is flash_attn's own wrapper under a profiler that marks each "
    "operator, so the fast host takes it for a plain launch",
    Act.HOST: "no capture has one: this is an empty tensor, with which each begins",
}


def act_times(paths: Sequence[Path]) -> Iterator[ActTimes]:
    """Each act, from all captures that show it often enough."""
    seen: dict[Act, list[Seen]] = {act: [] for act in Act}
    for path in paths:
        capture = load(path)
        for act, samples in samples_of(capture).items():
            if samples.size >= LEAST:
                at = tuple(round(float(each), 3) for each in np.quantile(samples, QUANTILES))
                gpu = " and ".join(capture.gpus)
                found = Seen(capture=path.name, version=capture.version, gpu=gpu, count=samples.size, us=at)
                seen[act].append(found)
    for act in Act:
        yield ActTimes(
            act=act.value,
            meaning=MEANINGS[act],
            multiple=act in MULTIPLES,
            seen=tuple(seen[act]),
            fast=FAST.get(act),
            stated=STATED.get(act),
            source=SOURCES.get(act, ""),
        )


def apart(acts: Iterable[ActTimes]) -> Iterator[ActTimes]:
    """Without those of which every figure is that of an act before: an allocation, where it stands for both."""
    before: list[tuple[Seen, ...]] = []
    for act in acts:
        if not act.seen or act.seen not in before:
            before.append(act.seen)
            yield act


def samples_of(capture: Capture) -> dict[Act, Samples]:
    """Microseconds by act, the attention call as a multiple of a launch."""
    gaps, before = _launch_gaps(capture)
    fused = _attention_rows(capture)
    attends = np.isin(before, fused)
    plain = gaps[~attends]
    found = {Act.LAUNCH: plain, Act.BEGIN: _until_it_begins(capture), Act.READ_BACK: _after_read_backs(capture)}
    if plain.size:
        found[Act.ATTENTION] = gaps[attends] / float(np.median(plain))
    launch = float(np.median(_durations(capture, "launch"))) / 1000 if plain.size else 0.0
    for act, source in ((Act.PAGEABLE, "pageable"), (Act.PINNED, "pinned")):
        copies = _small(capture, "HtoD")
        api = capture.api.iloc[copies.loc[copies["src"] == source, "api"].to_numpy()]
        found[act] = np.maximum((api["end"] - api["start"]).to_numpy() / 1000 - launch, 0)
    return found | _operators(capture)


def _durations(capture: Capture, family: str) -> Samples:
    rows = capture.api[capture.api["family"] == family]
    return np.asarray(rows["end"] - rows["start"], dtype=np.float64)


def _launch_gaps(capture: Capture) -> tuple[Samples, npt.NDArray[np.int64]]:
    """From each call for work on the device to the next of its thread, and the row of that next call."""
    api = capture.api[~capture.api["family"].isin(["other", "event"])].sort_values(["tid", "start"], kind="stable")
    start, tid = api["start"].to_numpy(), api["tid"].to_numpy()
    inside = capture.gpu_ops.loc[
        (capture.gpu_ops["kind"] == "memset") | (capture.gpu_ops["direction"] == "DtoD"), "api"
    ]
    works = (api["family"] == "launch").to_numpy() | api.index.isin(inside)
    pair = works[1:] & works[:-1] & (tid[1:] == tid[:-1])
    edges = np.flatnonzero(np.diff(np.concatenate([[False], pair, [False]]).astype(int)))
    long = np.zeros(pair.size, dtype=bool)
    for begin, end in edges.reshape(-1, 2):
        long[begin:end] = end - begin >= STRETCH - 1
    gaps = (start[1:] - start[:-1]) / 1000
    kept = long & (gaps < PAUSE)
    return gaps[kept], api.index.to_numpy()[1:][kept]


def _attention_rows(capture: Capture) -> npt.NDArray[np.int64]:
    """Rows of the API calls that launch fused attention."""
    ops = capture.gpu_ops
    fused = {name for name in ops["name"].cat.categories if FUSED.search(name)}
    return ops.loc[ops["name"].isin(fused) & (ops["kind"] == "kernel"), "api"].to_numpy()


def _until_it_begins(capture: Capture) -> Samples:
    """From a launch to its kernel, where the stream was empty when it was launched."""
    ops = capture.gpu_ops[capture.gpu_ops["api"] >= 0].sort_values(["pid", "device", "stream", "start"], kind="stable")
    called = capture.api["start"].to_numpy()[ops["api"].to_numpy()]
    before = ops.groupby(["pid", "device", "stream"], sort=False, observed=True)["end"].shift()
    free = (before.isna() | (before.to_numpy() < called)) & (ops["kind"] == "kernel")
    took = (ops["start"].to_numpy() - called)[free.to_numpy()] / 1000
    return np.asarray(took[(took > 0) & (took < PAUSE)], dtype=np.float64)


def _small(capture: Capture, direction: str) -> pd.DataFrame:
    """Small copies of which the call is known."""
    copies = capture.memcpy
    return copies[(copies["direction"] == direction) & (copies["api"] >= 0) & (copies["bytes"] <= SMALL)]


def _after_read_backs(capture: Capture) -> Samples:
    """From the end of a copy to the host to the end of the wait for it: its own call, or the one that follows."""
    api = capture.api[~capture.api["family"].isin(["other", "event"])].sort_values(["tid", "start"], kind="stable")
    place = pd.Series(np.arange(len(api)), index=api.index)
    end, tid = api["end"].to_numpy(), api["tid"].to_numpy()
    waits = (api["family"] == "sync").to_numpy()
    copies = _small(capture, "DtoH")
    copies = copies[copies["api"].isin(api.index)]
    at = place[copies["api"].to_numpy()].to_numpy()
    following = np.minimum(at + 1, max(len(api) - 1, 0))
    synced = waits[following] & (tid[following] == tid[at])
    tail = (np.where(synced, end[following], end[at]) - copies["end"].to_numpy()) / 1000
    return np.asarray(tail[(tail > 0) & (tail < PAUSE)], dtype=np.float64)


def _operators(capture: Capture) -> dict[Act, Samples]:
    """Views, empty tensors and other operators without a launch, where ranges are torch's operators."""
    ranges = capture.ranges[~capture.ranges["open"] & ~capture.ranges["moved"]]
    ranges = ranges[ranges["name"].str.startswith("aten::")]
    ranges = ranges.sort_values(["tid", "start", "end"], ascending=[True, True, False])
    if ranges.empty:
        return {}
    outer = _outermost(ranges)
    view, empty = (outer["name"].str.match(pattern).to_numpy() for pattern in (VIEWS, EMPTY))
    quiet = _without_calls(capture, outer)
    took = (outer["end"] - outer["start"]).to_numpy() / 1000
    return {Act.VIEW: took[view & quiet], Act.ALLOCATION: took[empty & quiet], Act.HOST: took[empty & quiet]}


def _outermost(ranges: pd.DataFrame) -> pd.DataFrame:
    """Those that lie in no other of their thread; ordered by thread and start."""
    ends = ranges.groupby("tid", sort=False)["end"].cummax()
    before = ends.groupby(ranges["tid"], sort=False).shift()
    return ranges[(before.isna() | (ranges["start"] >= before)).to_numpy()]


def _without_calls(capture: Capture, ranges: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Which of the ranges hold no call of CUDA's."""
    quiet = np.ones(len(ranges), dtype=bool)
    for tid in ranges["tid"].unique():
        of = (ranges["tid"] == tid).to_numpy()
        calls = np.sort(capture.api.loc[capture.api["tid"] == tid, "start"].to_numpy())
        first, last = (np.searchsorted(calls, ranges.loc[of, side].to_numpy()) for side in ("start", "end"))
        quiet[of] = first == last
    return quiet
