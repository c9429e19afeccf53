"""What a capture cannot say: counters that nothing in it can count, and rows that were lost.

An absent table is no zero: nsys leaves out what it has no row of, whether nothing happened or nothing was recorded.
"""

import re

import pandas as pd

from vlbench.nsys.frames import Capture
from vlbench.nsys.names import MEMORY_KINDS, is_known

OF_CALLS = ("launches", "graph_launches", "syncs", "blocking_copies", "allocs", "module_loads", "hidden_syncs")
"""Counters of API calls."""
OF_WORK = ("kernels", "graphs", "memcpys", "memsets", "gpu_ops", "work_ns", "span_ns", "busy_ns", "idle_ns")
"""Counters and times of GPU operations; a range has them through its calls."""
_LOST = 0.01  # share of rows without their counterpart from which on a capture is not whole
_TOLD = re.compile(r"Number of (CUDA|NVTX) events collected:\s*([\d,]+)")
_ASKING = {"kernels": ("launch", "kernel"), "memcpys": ("copy", "memcpy"), "memsets": ("memset", "memset")}


def unknown_calls(capture: Capture) -> list[str]:
    """API calls that no table knows, by name; each may be a launch, a copy or a wait."""
    return sorted(name for name in map(str, capture.api["name"].unique()) if not is_known(name))


def unmeasured(capture: Capture) -> dict[str, str]:
    """Counters of `project` that the capture cannot count, and why. `bytes` stands for the bytes of all kinds."""
    if not len(capture.api):
        return dict.fromkeys((*OF_CALLS, "api_calls", "api_ns", *OF_WORK), "no CUDA call was recorded")
    found: dict[str, str] = {}
    if unknown := unknown_calls(capture):
        more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
        found |= dict.fromkeys(OF_CALLS, f"no table knows the API calls {', '.join(unknown[:3])}{more}")
    ops, families = capture.gpu_ops, capture.api["family"].astype(str)
    for counter, (asking, kind) in _ASKING.items():
        if families.str.startswith(asking).any() and not (ops["kind"] == kind).any():
            found[counter] = f"there are calls that ask for them and no {kind} row"
    if not len(ops):
        found |= {name: "no GPU operation was recorded" for name in OF_WORK if name not in found}
    copies = capture.memcpy
    of_async = copies[copies["api"].isin(capture.api.index[families == "copy_async"])]
    told = of_async[["src", "dst"]].astype(object).isin([kind for kind in MEMORY_KINDS.values() if kind != "unknown"])
    pageable = (of_async[["src", "dst"]].astype(object) == "pageable").any(axis=1)
    if not (told.all(axis=1) | pageable).all():
        found.setdefault("hidden_syncs", "the copies do not say whether their memory is pageable")
    if "memcpys" in found and (families == "copy_async").any():
        found.setdefault("hidden_syncs", "there are asynchronous copies and no memcpy row says of which memory")
    if (copies["bytes"] < 0).any():
        found["bytes"] = "copies do not say their size"
    return found


def losses(capture: Capture) -> list[str]:
    """What shows that rows of the capture were lost, a sentence each."""
    found = []
    for what, told in told_events(capture).items():
        tables = [capture.api, capture.gpu_ops] if what == "CUDA" else [capture.ranges]
        here = sum(map(len, tables)) + (capture.other_events if what == "NVTX" else 0)
        if here < told:
            found.append(f"nsys collected {told} {what} event{'s' * (told > 1)}, and the file has {here}")
    ranges = capture.ranges[~capture.ranges["open"]]
    if wrong := int((ranges["end"] <= ranges["start"]).sum()):
        found.append(f"{wrong} range{'s' * (wrong > 1)} of no length or less, in which nothing can lie")
    ops, api = capture.gpu_ops["api"], capture.api
    asking = api.index[api["family"].isin(["launch", "graph_launch"])]
    if api["name"].astype(str).str.contains("BeginCapture").any():
        asking = asking[:0]  # what is launched into a CUDA graph does not run
    ran = asking.isin(pd.unique(ops))
    for rows, lacking, words in (
        (len(ops), int((ops < 0).sum()), "no API call for {} of {} GPU operations"),
        (len(asking), int((~ran).sum()), "no GPU operation for {} of {} launches"),
    ):
        if lacking > _LOST * rows and len(api) and len(ops):
            found.append(words.format(lacking, rows))
    if not found and (cut := _cut(api.loc[asking[ran]], api.loc[asking[~ran]])):
        last = "launch has" if cut == 1 else f"{cut} launches have"
        found.append(f"the last {last} no GPU operation: the capture ended first")
    return found


def _cut(ran: pd.DataFrame, waiting: pd.DataFrame) -> int:
    """How many launches waited when the capture ended: those of a process after the last of it that ran."""
    last = ran.groupby("pid")["start"].max()
    return int((waiting["start"] > waiting["pid"].map(last).fillna(-1)).sum())


def told_events(capture: Capture) -> dict[str, int]:
    """How many events the profiler says that it collected, CUDA and NVTX; empty where it does not say."""
    told: dict[str, int] = {}
    for _, text in capture.diagnostics:
        if match := _TOLD.search(text):
            told[match[1]] = told.get(match[1], 0) + int(match[2].replace(",", ""))
    return told


def losses_or_doubt(capture: Capture) -> list[str]:
    """`losses`, else that there is nothing to tell them by."""
    if found := losses(capture):
        return [f"the capture is not whole: {each}" for each in found]
    if told_events(capture) or not len(capture.api):
        return []
    return ["not checked: the file does not say how many events were recorded, so only lost halves of pairs would show"]
