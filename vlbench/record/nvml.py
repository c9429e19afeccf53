"""The visible GPU as NVML knows it; what NVML cannot tell is None.

NVML numbers all boards of a machine and has never heard of CUDA_VISIBLE_DEVICES, so the board is looked up by the UUID
that CUDA gives its device 0, never by index.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

HARMLESS = 0x001 | 0x002 | 0x100
"""Bits of NVML's clocks event reasons: idle, application clocks, display clocks. There is nothing to do, or a clock was
set, lower than it could be but the same in every round. The others, known by a name or not, come and go."""
REASONS = {
    0x004: "power cap",
    0x008: "hardware slowdown",
    0x010: "sync boost",
    0x020: "thermal slowdown by the driver",
    0x040: "thermal slowdown by the hardware",
    0x080: "power brake",
}
"""The others in words, by bit."""


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

    def held_back_by(self) -> tuple[str, ...] | None:
        """What holds the clock of the SMs back, of all that comes and goes. None where nobody can say.

        NVML answers from the driver: neither the CUDA context nor its streams are touched.
        """
        bits = self.ask("nvmlDeviceGetCurrentClocksEventReasons")
        if bits is None:  # the name of drivers before 535
            bits = self.ask("nvmlDeviceGetCurrentClocksThrottleReasons")
        if bits is None:
            return None
        found = [1 << place for place in range(bits.bit_length()) if bits & ~HARMLESS & 1 << place]
        return tuple(REASONS.get(bit, f"reason {bit:#x}") for bit in found)

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


def throttle_check(device: str) -> Callable[[], tuple[str, ...]]:
    """Says, each time, what throttles the visible GPU as far as is known. On a CPU nothing does."""
    board = visible_board() if device == "cuda" else None
    return lambda: (board.held_back_by() if board else None) or ()
