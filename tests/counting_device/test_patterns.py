"""Ways in which towers read values back, each as CUDA does it: how often the host waits, and for how many bytes."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from vlbench.counting_device import CountingDevice

Pattern = Callable[[Tensor], object]


def loop(i: Tensor) -> None:
    left = i[1].clone()
    while left > 0:
        left -= 1


def other_thread(i: Tensor) -> None:
    thread = threading.Thread(target=torch.cuda.synchronize)
    thread.start()
    thread.join()


def pinned_target(i: Tensor) -> None:
    torch.empty(5, dtype=torch.int64, pin_memory=True).copy_(i, non_blocking=True)


PATTERNS: dict[str, tuple[Pattern, int, int]] = {
    "torch.tensor of numbers": (lambda i: torch.tensor([i[0], i[1]]), 2, 16),
    "torch.tensor of numbers and sequences": (lambda i: torch.tensor([[i[0], 2], i[1:3]]), 3, 24),
    "torch.as_tensor": (lambda i: torch.as_tensor([i[0], 2]), 1, 8),
    "of floats": (lambda i: torch.tensor([torch.ones((), device="cuda")]), 1, 4),
    "where of a mask": (lambda i: torch.where(i > 2), 1, 8),
    "nonzero as tuple": (lambda i: (i > 2).nonzero(as_tuple=True), 1, 8),
    "argwhere": (lambda i: torch.argwhere(i), 1, 8),
    "repeat_interleave": (lambda i: torch.repeat_interleave(i.int()), 2, 9),
    "bincount of int32": (lambda i: torch.bincount(i.int()), 2, 8),
    "linspace": (lambda i: torch.linspace(i[0].int(), i[1], 5, device="cuda"), 2, 12),
    "while": (loop, 2, 2),
    "f-string": (lambda i: f"{i[0]}", 1, 8),
    "f-string with a format": (lambda i: f"{i[0]:03d}", 1, 8),
    "range": (lambda i: range(i[2]), 1, 8),
    "slice": (lambda i: i[: i[2]], 1, 8),
    "index of a list": (lambda i: [1, 2, 3][i[1]], 1, 8),
    "in the tensor": (lambda i: 3 in i, 1, 1),
    "in a list": (lambda i: i[1] in [0, 1], 2, 2),
    "max of Python": (lambda i: max(i), 4, 4),
    "sum of Python": (lambda i: sum(i), 0, 0),
    "and": (lambda i: i[1] < 3 and i[2] < 5, 1, 1),
    "numpy": (lambda i: i.cpu().numpy(), 1, 40),
    "copy down": (lambda i: torch.zeros(5, dtype=torch.int64).copy_(i), 1, 40),
    "into pinned memory": (pinned_target, 0, 40),
    "synchronize in a thread": (other_thread, 1, 0),
    "a stream": (lambda i: torch.cuda.Stream().synchronize(), 1, 0),
    "equal": (lambda i: torch.equal(i, i + 0), 1, 1),
    "one_hot": (lambda i: torch.nn.functional.one_hot(i), 1, 8),
    "a view's shape": (lambda i: i[:4].view(-1, i[2]), 1, 8),
    "pad": (lambda i: torch.nn.functional.pad(i, (0, i[1])), 1, 8),
    "DLPack": (lambda i: torch.from_dlpack(i) + 1, 0, 0),
    "an assertion on the device": (lambda i: torch._assert_async(i[1] > 0), 0, 0),
}


@pytest.mark.parametrize("name", PATTERNS)
def test_reads_back_as_cuda_does(name: str) -> None:
    pattern, syncs, size = PATTERNS[name]
    with CountingDevice("ghost") as device, torch.inference_mode():
        i = device.upload(torch.arange(5))
        with device.count() as counter:
            pattern(i)
    total = counter.report.total
    assert (total.host_syncs, total.read_back_bytes) == (syncs, size)


def test_a_tensor_of_device_numbers_has_their_values_and_dtype() -> None:
    with CountingDevice("ghost") as device:
        i = device.upload(torch.arange(5, dtype=torch.int32))
        assert torch.equal(torch.tensor([i[1], i[3]]), torch.tensor([1, 3], dtype=torch.int32))
        assert torch.equal(torch.tensor([[i[1], 2.5]]), torch.tensor([[1, 2.5]]))
        assert torch.tensor([i[1]], device="cuda", dtype=torch.float32).device.type == "cuda"
