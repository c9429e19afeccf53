"""A prediction that is held against the GPU at hand: kept before anything is measured, and once more with the times."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Literal

from vlbench.errors import UsageError
from vlbench.kernel_times import boards
from vlbench.predicting.predicted import Prediction
from vlbench.record.base import Amount, Checksummed, Record
from vlbench.record.files import write_whole


class TimeSeen(Record):
    """What one row took."""

    scenario: str
    point: str
    row: str
    seconds: Amount | None
    """The median; None where it was not timed."""


class CheckedPrediction(Checksummed):
    """What was predicted, when, and what was then measured."""

    schema_version: Literal[1] = 1
    gpu: str
    """As the driver calls it."""
    predicted: datetime
    prediction: Prediction
    measured: datetime | None = None
    """When measuring had ended; None while it goes on, and where it did not end."""
    times: tuple[TimeSeen, ...] = ()

    def keep(self, path: Path) -> None:
        """Write it, whole or not at all."""
        write_whole(path, self.with_checksum().model_dump_json(indent=1) + "\n")


def gpu_here() -> str:
    """What the driver calls the GPU of this machine. Raises UsageError where there is none."""
    import torch

    if not torch.cuda.is_available():
        raise UsageError("--check: torch finds no GPU here to hold a prediction against; run it where there is one")
    return torch.cuda.get_device_name()


def board_of(gpu: str) -> str:
    """The board whose kernel times are of this GPU. Raises UsageError where none is."""
    words = "_".join(re.findall(r"[a-z0-9]+", gpu.lower()))
    for name in sorted(boards(), key=len, reverse=True):
        if re.search(rf"(^|_){re.escape(name.replace('-', '_'))}(_|$)", words):
            return name
    raise UsageError(f"--check: no kernel times are stored for {gpu}; there are those of {', '.join(boards())}")
