"""A prediction that is held against the GPU at hand: kept before anything is measured, and once more with that."""

import re
from datetime import datetime
from pathlib import Path
from typing import Literal

from vlbench.counting_device.profiles import VERSION, cudnn_of
from vlbench.errors import UsageError
from vlbench.kernel_times import boards
from vlbench.predicting.predicted import Prediction
from vlbench.record.base import Checksummed
from vlbench.record.files import write_whole
from vlbench.record.fingerprint import Fingerprint
from vlbench.record.schema import Results


class CheckedPrediction(Checksummed):
    """What was predicted, when and for which machine, and what was then measured on that."""

    schema_version: Literal[1] = 1
    fingerprint: Fingerprint
    """Of the machine, taken before anything was predicted."""
    predicted: datetime
    prediction: Prediction
    measured: Results | None = None
    """The same rows; None while measuring goes on, and where it gave nothing."""

    def keep(self, path: Path) -> None:
        """Write it, whole or not at all."""
        write_whole(path, self.with_checksum().model_dump_json(indent=1) + "\n")


def check_gpu() -> None:
    """Raises UsageError where there is no GPU to hold a prediction against."""
    import torch

    if not torch.cuda.is_available():
        raise UsageError("--check: torch finds no GPU here to hold a prediction against; run it where there is one")


def board_of(gpu: str, option: str = "--check") -> str:
    """The board whose kernel times are of this GPU. Raises UsageError, which names the option, where none is."""
    words = "_".join(re.findall(r"[a-z0-9]+", gpu.lower()))
    for name in sorted(boards(), key=len, reverse=True):
        if re.search(rf"(^|_){re.escape(name.replace('-', '_'))}(_|$)", words):
            return name
    raise UsageError(f"{option}: no kernel times are stored for {gpu}; there are those of {', '.join(boards())}")


def cudnn_here(found: Fingerprint) -> str | None:
    """The cuDNN that attends on this machine; None where it has none whose attention is known."""
    return cudnn_of(found.cudnn) if found.cudnn and VERSION.fullmatch(found.cudnn) else None
