"""Waits that torch hides inside its operations: a systematic search, with torch's own samples of every operation.

A program of its own, which prints what it found as JSON: torch's samples bring its test-suite, which locks settings of
torch for the whole process.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from itertools import islice
from typing import Any

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from torch.utils._pytree import tree_map

from vlbench.counting_device import CountingDevice
from vlbench.record.counts import Counts

SAMPLES = 3
EXPLAINED = {
    # More on the device than inside the CPU's kernel: only CUDA has to wait to know a size or a value.
    "argwhere": "nonzero",
    "bincount": "its size is the largest value",
    "corrcoef": "compares its weights",
    "cov": "compares its weights",
    "equal": "answers on the host",
    "index_put": "a mask needs nonzero",
    "nonzero": "its size is the number of hits",
    "to": "reaches the host",
    "unique": "its size is the number of values",
    "unique_consecutive": "its size is the number of values",
    # Less: what the CPU's kernel asks of its own memory.
    "histogram": "has no CUDA kernel",
    "histogramdd": "has no CUDA kernel",
    "nn.functional.multilabel_margin_loss": "the CPU checks targets; CUDA's kernel asserts on the device",
    "nn.functional.one_hot": "the CPU checks for negative classes (aten/src/ATen/native/Onehot.cpp)",
    "std": "the CPU reads a single element",
    "var": "the CPU reads a single element",
}


def _inside(call: Any) -> int:
    with torch.inference_mode(), profile(activities=[ProfilerActivity.CPU]) as seen:
        call()
    return sum(event.name == "aten::_local_scalar_dense" for event in seen.events())


def _counted(operation: Any, args: Any, kwargs: Any) -> Counts:
    def place(value: Any) -> Any:
        return device.upload(value) if isinstance(value, Tensor) else value

    with CountingDevice("shadow") as device, torch.inference_mode():
        args, kwargs = tree_map(place, args), tree_map(place, kwargs)
        if kwargs.get("device") is not None:
            kwargs = kwargs | {"device": "cuda"}
        with device.count() as counter:
            operation(*args, **kwargs)
    return counter.report


def _samples() -> Iterator[tuple[str, Any, Any, Any]]:
    from torch.testing._internal.common_methods_invocations import op_db

    for info in op_db:
        for dtype in (torch.float32, torch.int64):
            if dtype in info.dtypes:
                for sample in islice(info.sample_inputs("cpu", dtype, requires_grad=False), SAMPLES):
                    yield info.name, info.op, (sample.input, *sample.args), sample.kwargs


def main() -> None:
    """Search, and print what was compared, refused and not seen."""
    warnings.simplefilter("ignore")
    compared, refused, unseen = 0, 0, set()
    for name, operation, args, kwargs in _samples():
        own = tree_map(lambda value: value.clone() if isinstance(value, Tensor) else value, args)
        try:
            inside = _inside(lambda: operation(*own, **kwargs))  # noqa: B023  it is called at once
        except Exception:  # a sample that this build cannot run
            continue
        try:
            counts = _counted(operation, args, kwargs)
        except Exception:  # what the device refuses, it does not count as 0
            refused += 1
            continue
        compared += 1
        if counts.total.read_backs != inside and not counts.unknown and name not in EXPLAINED:
            unseen.add(f"{name}: {inside} inside, {counts.total.read_backs} counted")
    print(json.dumps({"compared": compared, "refused": refused, "unseen": sorted(unseen)}))


if __name__ == "__main__":
    main()
