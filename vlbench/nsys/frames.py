"""The common shape of a capture, whichever profiler took it: ranges, API calls, GPU operations.

All times are integer nanoseconds on one clock. A process is nsys' `globalPid`, a thread its `globalTid` (for
a torch profiler trace: numbers made the same way).
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

RANGE_COLUMNS = {
    "start": "int64",
    "end": "int64",  # of an open range: the last timestamp of the capture
    "open": "bool",  # never closed inside the capture
    "moved": "bool",  # ended on another thread: no GPU work can be attributed to it
    "nested": "bool",  # push/pop, so properly nested per thread and domain; False: start/end
    "tid": "int64",
    "pid": "int64",
    "domain": "category",
    "name": "category",
}
API_COLUMNS = {
    "start": "int64",
    "end": "int64",
    "tid": "int64",
    "pid": "int64",
    "corr": "int64",
    "name": "category",
    "family": "category",  # names.FAMILIES
}
GPU_COLUMNS = {
    "start": "int64",
    "end": "int64",
    "pid": "int64",
    "device": "int64",
    "stream": "int64",
    "corr": "int64",
    "graph_node": "int64",  # 0: not part of a CUDA graph
    "bytes": "int64",  # copies and memsets; -1 where the capture does not say
    "kind": "category",  # kernel, memcpy, memset, graph
    "name": "category",  # kernels; for the others their kind
    "direction": "category",  # copies: names.DIRECTIONS
    "src": "category",  # copies: names.MEMORY_KINDS
    "dst": "category",
    "api": "int64",  # row in the API frame that asked for it, -1 where there is none
}
GPU_KINDS = ("kernel", "memcpy", "memset", "graph")
_ID_BITS = 40  # CUPTI's correlation ids have 32

Ints = npt.NDArray[np.int64]


def frame(columns: dict[str, str], **values: object) -> pd.DataFrame:
    """A frame with exactly `columns`; without values, an empty one of the right types."""
    if not values:
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in columns.items()})
    return pd.DataFrame({name: values[name] for name in columns})


def category(codes: np.ndarray, names: list[str]) -> pd.Categorical:
    """A categorical from codes into `names`, which may hold repeats; code -1 is missing."""
    unique = list(dict.fromkeys(names))
    position = {name: index for index, name in enumerate(unique)}
    table = np.array([position[name] for name in names] + [-1], dtype=np.int32)
    return pd.Categorical.from_codes(table[codes], categories=pd.Index(unique, dtype=object))


def copy_kinds(gpu_ops: pd.DataFrame) -> pd.Categorical:
    """The kind of each copy, such as `HtoD pageable>device`; missing where the operation is no copy."""
    parts = [gpu_ops[name].cat for name in ("direction", "src", "dst")]
    joint = np.zeros(len(gpu_ops), dtype=np.int64)
    for part in parts:
        joint = joint * (len(part.categories) + 1) + part.codes.to_numpy() + 1
    copies = np.flatnonzero(gpu_ops["kind"] == "memcpy")
    _, first, codes = np.unique(joint[copies], return_index=True, return_inverse=True)
    sides = [["unknown", *part.categories] for part in parts]  # a trace may name a copy in another way
    named = [
        tuple(names[part.codes.iloc[row] + 1] for part, names in zip(parts, sides, strict=True))
        for row in copies[first]
    ]
    every = np.full(len(gpu_ops), -1, dtype=np.int64)
    every[copies] = codes
    return category(every, [f"{direction} {src}>{dst}" for direction, src, dst in named])


def match(api: pd.DataFrame, op_pid: Ints, op_corr: Ints) -> Ints:
    """For each GPU operation the row of the API call that asked for it: same process, same correlation id; else -1.

    Correlation ids start afresh in every process, so the id alone joins strangers. Where an id is recorded twice, a
    call that asks for GPU work is taken before one that does not, and the first before later ones.
    """
    api_pid, api_corr = api["pid"].to_numpy(), api["corr"].to_numpy()
    asks_for_work = ~api["family"].isin(["other", "event"]).to_numpy()
    pids = np.unique(api_pid)
    found = np.full(op_pid.size, -1, dtype=np.int64)
    if not pids.size or not op_pid.size:
        return found
    usable = (api_corr >= 0) & (api_corr < 1 << _ID_BITS)
    rows = np.flatnonzero(usable)
    keys = ((np.searchsorted(pids, api_pid[rows]) << _ID_BITS) | api_corr[rows]) * 2 + ~asks_for_work[rows]
    order = np.argsort(keys, kind="stable")
    rows, keys = rows[order], keys[order] >> 1
    first = np.ones(keys.size, dtype=bool)
    first[1:] = keys[1:] != keys[:-1]
    rows, keys = rows[first], keys[first]

    code = np.minimum(np.searchsorted(pids, op_pid), pids.size - 1)
    known = (pids[code] == op_pid) & (op_corr >= 0) & (op_corr < 1 << _ID_BITS)
    wanted = (code[known] << _ID_BITS) | op_corr[known]
    place = np.minimum(np.searchsorted(keys, wanted), max(keys.size - 1, 0))
    if keys.size:
        found[known] = np.where(keys[place] == wanted, rows[place], -1)
    return found


@dataclass
class Capture:
    """One capture, read. The frames have the columns of this module; a missing table is an empty frame."""

    path: str
    source: str  # "nsys" or "kineto"
    ranges: pd.DataFrame
    api: pd.DataFrame
    gpu_ops: pd.DataFrame
    meta: dict[str, str] = field(default_factory=dict)
    gpus: tuple[str, ...] = ()
    diagnostics: tuple[tuple[int, str], ...] = ()  # (severity, text); 2 and above are warnings and errors
    missing: tuple[str, ...] = ()  # tables that the export does not have
    notes: tuple[str, ...] = ()  # what could not be read as usual, in sentences
    thread_names: dict[int, str] = field(default_factory=dict)
    other_events: int = 0  # NVTX rows that are no ranges

    @property
    def memcpy(self) -> pd.DataFrame:
        """The copies among the GPU operations."""
        return self.gpu_ops[self.gpu_ops["kind"] == "memcpy"]

    @property
    def version(self) -> str:
        """The exporting product and its schema."""
        if self.source == "kineto":
            return "torch profiler trace"
        product = self.meta.get("EXPORT_PRODUCT_VERSION", "unknown version")
        return f"nsys {product}, schema {self.meta.get('EXPORT_SCHEMA_VERSION', 'unknown')}"

    def fact(self, name: str) -> str:
        """A setting such as CUDA_SKIP_SOME_API_CALLS: every value told, joined by a slash."""
        values = {
            value
            for key, value in self.meta.items()
            if key == name or (key.startswith("PROCESS_") and key.split(":", 1)[-1] == name)
        }
        return "/".join(sorted(values))
