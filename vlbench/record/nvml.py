"""The visible GPU as NVML knows it; what NVML cannot tell is None.

NVML numbers all boards of a machine and has never heard of CUDA_VISIBLE_DEVICES, so the board is looked up by the UUID
that CUDA gives its device 0, never by index.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Board:
    """A GPU board."""

    nvml: Any
    handle: Any
    uuid: str
    """As NVML writes it: GPU-..., or MIG-... for a slice. The handle is the whole board's either way."""

    def ask(self, question: str, *about: object) -> Any:
        """What NVML's function `question` says of this board; None where board, driver or binding cannot say."""
        function = getattr(self.nvml, question, None)
        if function is None:
            return None
        try:
            return function(self.handle, *about)
        except self.nvml.NVMLError:
            return None

    def driver(self) -> str | None:
        try:
            return str(self.nvml.nvmlSystemGetDriverVersion())
        except self.nvml.NVMLError:
            return None

    def mig(self) -> bool | None:
        """Is the board split into slices?"""
        if self.uuid.startswith("MIG-"):
            return True
        mode = self.ask("nvmlDeviceGetMigMode")
        return None if mode is None else mode[0] == self.nvml.NVML_DEVICE_MIG_ENABLE


def find_board(uuid: str) -> Board | None:
    """The board whose UUID, without its prefix, is `uuid`; None without NVML or such a board.

    NVML stays open until the process ends: others in it may use it too.
    """
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    for prefix in ("GPU-", "MIG-"):
        try:
            handle = pynvml.nvmlDeviceGetHandleByUUID(prefix + uuid)
            if prefix == "MIG-":  # clocks, power and temperature belong to the whole board
                handle = pynvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(handle)
        except pynvml.NVMLError:
            continue
        return Board(pynvml, handle, prefix + uuid)
    return None


def visible_board() -> Board | None:
    """The board of CUDA's device 0. Imports torch, which must see a GPU."""
    import torch

    return find_board(str(torch.cuda.get_device_properties(0).uuid))
