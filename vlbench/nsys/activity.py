"""Tables of a whole capture: CUDA calls, kernels, copies by kind, and what blocks the host."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from vlbench.nsys.frames import Capture, copy_kinds
from vlbench.nsys.projection import hidden_syncs

_STALL = 10  # an asynchronous copy whose call takes this many times its GPU time waited for something else

_BLOCKING = {
    "sync": "explicit sync",
    "copy_blocking": "blocking copy",
    "alloc": "allocation",
    "module_load": "module load",
}


def _table(keys: Mapping[str, object], duration: np.ndarray, **sums: np.ndarray) -> pd.DataFrame:
    """Count, total and extremes of `duration` per combination of keys, the longest total first."""
    rows = pd.DataFrame({**keys, "ns": duration, **sums})
    of_time = {"count": "size", "ns": "sum", "median": "median", "least": "min", "most": "max"}
    columns: dict[str, Any] = {name: ("ns", how) for name, how in of_time.items()}
    columns |= {name: (name, lambda values: values.sum(skipna=False)) for name in sums}
    result: pd.DataFrame = rows.groupby(list(keys), observed=True, sort=True).agg(**columns)
    return result.sort_values("ns", ascending=False, kind="stable").reset_index()


def api_table(capture: Capture) -> pd.DataFrame:
    """Calls and time per API name and family; the version nsys appends to a name is dropped."""
    api = capture.api
    return _table({"name": api["name"], "family": api["family"]}, (api["end"] - api["start"]).to_numpy())


def kernel_table(capture: Capture) -> pd.DataFrame:
    """Runs and time per kernel name."""
    kernels = capture.gpu_ops[capture.gpu_ops["kind"] == "kernel"]
    return _table({"name": kernels["name"]}, (kernels["end"] - kernels["start"]).to_numpy())


def memcpy_table(capture: Capture) -> pd.DataFrame:
    """Copies, bytes (NaN where a copy does not say) and GPU time per direction and pair of memory kinds."""
    copies = capture.memcpy
    size = copies["bytes"].to_numpy()
    size = np.where(size < 0, np.nan, size) if (size < 0).any() else size
    keys: dict[str, object] = {name: copies[name] for name in ("direction", "src", "dst")}
    return _table(keys, (copies["end"] - copies["start"]).to_numpy(), bytes=size)


def sync_table(capture: Capture) -> pd.DataFrame:
    """What blocks the host, per class and API name: count, API time, and the GPU time of the copies behind
    it.

    `hidden sync` is an asynchronous copy with a pageable end, split by kind of copy. `stalled` counts copies
    whose call took at least ten times as long as the copy itself: the host waited for earlier work; NaN of copies that
    have no row of the GPU.
    """
    api = capture.api
    kind = api["family"].astype(object).map(_BLOCKING).to_numpy(dtype=object)
    kind[hidden_syncs(capture)] = "hidden sync"
    chosen = np.flatnonzero(pd.notna(kind))
    ops = capture.gpu_ops
    owner = ops["api"].to_numpy()
    labels = copy_kinds(ops)
    copied = np.flatnonzero((owner >= 0) & (labels.codes >= 0))
    gpu = np.zeros(len(api), dtype=np.int64)
    np.add.at(gpu, owner[copied], (ops["end"] - ops["start"]).to_numpy()[copied])
    copy = np.full(len(api), "", dtype=object)
    copy[owner[copied]] = np.asarray(labels.astype(object))[copied]
    spent = (api["end"] - api["start"]).to_numpy()
    stalled = (gpu > 0) & (spent >= _STALL * gpu)
    keys = {"class": kind[chosen], "name": api["name"].to_numpy(dtype=object)[chosen], "copy": copy[chosen]}
    lost = (kind == _BLOCKING["copy_blocking"]) & (copy == "")
    gpu_ns, stalls = (np.where(lost, np.nan, each) if lost.any() else each for each in (gpu, stalled))
    return _table(keys, spent[chosen], gpu_ns=gpu_ns[chosen], stalled=stalls[chosen])
