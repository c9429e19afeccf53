"""Waits that torch hides inside its operations: a systematic search, with torch's own samples of every operation."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from torch.utils._pytree import tree_map

from vlbench.counting_device import CountingDevice
from vlbench.record.counts import Counts

pytestmark = pytest.mark.slow
opinfo = pytest.importorskip("torch.testing._internal.common_methods_invocations", reason="expecttest is missing")

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
    for info in opinfo.op_db:
        for dtype in (torch.float32, torch.int64):
            if dtype in info.dtypes:
                for sample in islice(info.sample_inputs("cpu", dtype, requires_grad=False), SAMPLES):
                    yield info.name, info.op, (sample.input, *sample.args), sample.kwargs


def test_no_operation_of_torch_waits_unseen() -> None:
    warnings.simplefilter("ignore")
    compared, unseen, refused = 0, set(), 0
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
    assert not unseen
    assert compared > 2000, "the search has become small"
    assert refused < 40
