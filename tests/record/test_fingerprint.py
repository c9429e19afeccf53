from __future__ import annotations

import platform

import torch

import vlbench
from tests.record.records import FINGERPRINT
from vlbench.record.fingerprint import take_fingerprint


def test_it_tells_the_machine_and_the_software() -> None:
    taken = take_fingerprint("cpu")
    assert (taken.vlbench, taken.torch, taken.python) == (
        vlbench.__version__,
        torch.__version__,
        platform.python_version(),
    )
    assert taken.cpu
    assert taken.cores >= 1
    assert taken.memory_gb > 0
    assert taken.gpu is None
    assert (taken.revision is None) == (taken.dirty is None)


def test_it_fits_in_one_line() -> None:
    assert FINGERPRINT.line == "a CPU, 2 cores | torch 2.13.0 | Python 3.11.7 | vlbench 012345678"
    changed = FINGERPRINT.model_copy(update={"dirty": True, "gpu": "a GPU"})
    assert changed.line == "a GPU | torch 2.13.0 | Python 3.11.7 | vlbench 012345678+changes"
    released = FINGERPRINT.model_copy(update={"revision": None, "dirty": None})
    assert released.line.endswith("| vlbench 0.1.0")
