"""What the visible GPU is doing between rounds: clocks, temperature, power, and what holds its clocks back."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from vlbench.record.nvml import Board, visible_board

REASONS = {
    0x001: "idle",
    0x002: "application clocks",
    0x004: "software power cap",
    0x008: "hardware slowdown",
    0x010: "sync boost",
    0x020: "software thermal slowdown",
    0x040: "hardware thermal slowdown",
    0x080: "hardware power brake",
    0x100: "display clocks",
    0x200: "board limit",
    0x400: "reliability",
}
"""Bits of NVML's clocks event reasons, in the words that are recorded."""

HARMLESS = frozenset({"idle", "application clocks", "display clocks"})
"""Nothing to do, or a clock that somebody set: lower than it could be, but the same in every round."""


class GpuState(BaseModel):
    """One sample. None: not measured, because the board or its driver does not tell."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sm_mhz: int | None = Field(description="Clock of the SMs in MHz.")
    memory_mhz: int | None = Field(description="Clock of the memory in MHz.")
    temperature_c: int | None = Field(description="Temperature of the GPU in degrees Celsius.")
    power_w: float | None = Field(description="Power drawn in watts; most boards average it over about a second.")
    reasons: tuple[str, ...] | None = Field(description="Why the SM clock is not higher; empty when nothing holds it.")

    @property
    def is_throttled(self) -> bool | None:
        """Is the clock held back by something that comes and goes? None where the reasons are not known.

        A reason that is not known by name counts: a round is rather marked in vain than trusted in vain.
        """
        return None if self.reasons is None else not HARMLESS.issuperset(self.reasons)


class GpuSampler:
    """Samples a board. NVML answers from the driver: neither the CUDA context nor its streams are touched."""

    def __init__(self, board: Board | None) -> None:
        """Without a board every sample is None."""
        self.board = board

    def sample(self) -> GpuState | None:
        if (board := self.board) is None:
            return None
        milliwatts = board.ask("nvmlDeviceGetPowerUsage")
        bits = board.ask("nvmlDeviceGetCurrentClocksEventReasons")
        if bits is None:  # the name of drivers before 535
            bits = board.ask("nvmlDeviceGetCurrentClocksThrottleReasons")
        return GpuState(
            sm_mhz=board.ask("nvmlDeviceGetClockInfo", board.nvml.NVML_CLOCK_SM),
            memory_mhz=board.ask("nvmlDeviceGetClockInfo", board.nvml.NVML_CLOCK_MEM),
            temperature_c=board.ask("nvmlDeviceGetTemperature", board.nvml.NVML_TEMPERATURE_GPU),
            power_w=None if milliwatts is None else milliwatts / 1000,
            reasons=None if bits is None else reason_names(bits),
        )


def sampler_for(device: str) -> GpuSampler:
    """A sampler of the visible GPU for "cuda"; one without a board for "cpu"."""
    return GpuSampler(visible_board() if device == "cuda" else None)


def reason_names(bits: int) -> tuple[str, ...]:
    """The names of the set bits, lowest first; one that has no name here keeps its number."""
    set_bits = (1 << place for place in range(bits.bit_length()) if bits >> place & 1)
    return tuple(REASONS.get(bit, f"reason {bit:#x}") for bit in set_bits)
