"""The machine card: how fast a machine does the few things that every forward is made of.

It explains why the same flag pays on one machine and not on another, and shows a slow day of a machine as such.
"""

from typing import Literal

from pydantic import Field

from vlbench.record.base import Record


class CopyCost(Record):
    """Time to copy one buffer that is warm in the caches, until it has arrived."""

    size_bytes: int = Field(gt=0)
    """Size of the buffer in bytes."""
    host_us: float = Field(gt=0)
    """Within host memory, in microseconds."""
    pageable_us: float | None = Field(default=None, gt=0)
    """CUDA: from pageable memory, in microseconds."""
    pinned_us: float | None = Field(default=None, gt=0)
    """CUDA: from pinned memory, in microseconds."""


class MachineCard(Record):
    """Medians of repeats. None: not measured, because there is no such thing on this device."""

    device: Literal["cpu", "cuda"]
    torch_threads: int = Field(gt=0)
    """Threads of a torch operation on the CPU."""
    took_seconds: float = Field(gt=0)
    """How long measuring the card took."""
    launch_us: float = Field(gt=0)
    """Host time of one tiny operation, in microseconds: on a CPU all of it, on CUDA its issue."""
    sync_us: float | None = Field(default=None, gt=0)
    """CUDA: a synchronize with nothing to wait for, in microseconds."""
    round_trip_us: float | None = Field(default=None, gt=0)
    """CUDA: one tiny operation and the synchronize that awaits it, in microseconds."""
    copies: tuple[CopyCost, ...] = Field(min_length=1)
    """Cost of copies, by size."""
    gemm_size: int = Field(gt=0)
    """Rows and columns of the square matrices that are multiplied."""
    gemm_fp32_gflops: float = Field(gt=0)
    """Matrix product in fp32 without TF32, in GFLOP/s."""
    gemm_bf16_gflops: float | None = Field(default=None, gt=0)
    """CUDA: matrix product in bf16, in GFLOP/s."""
    copy_gb_s: float = Field(gt=0)
    """Copy within the device's memory, too big for its caches: bytes read and written, in GB/s."""
    python_loops_per_s: float = Field(gt=0)
    """Passes of a fixed Python loop, in one thread, per second."""
    clock_step_ns: int = Field(gt=0)
    """Smallest step between two readings of perf_counter, in nanoseconds."""
