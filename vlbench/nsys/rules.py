"""The advice table: what is counted inside the encoder's forwards, and what removes it: a flag of ours where one does.

Bands of one measure do not overlap: the number of stream synchronizations tells a read-back per forward from
one per layer and from several per attention segment.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """One line of advice. One of `api`, `kernel`, `copy` is set: a regular expression for what is counted."""

    flag: str | None
    """A flag of ours that removes the pattern; None where none does, and `why` says what would."""
    what: str
    why: str
    least: int = 1
    most: int | None = None
    api: str = ""
    kernel: str = ""
    copy: str = ""  # for the kind of copy, such as `HtoD pageable>device`
    least_bytes: int = 0
    most_bytes: int | None = None
    idle_share: float = 0.0  # at least this part of the projected spans must be idle


_SYNC = r"^cudaStreamSynchronize|^cuStreamSynchronize"
_TRIGONOMETRY = r"\b(cos|sin)_kernel"

RULES = (
    Rule(
        "host-grid",
        "stream synchronizations",
        "a few values are read back; keep the grid on the host",
        most=7,
        api=_SYNC,
    ),
    Rule(
        None,
        "stream synchronizations",
        "about one read-back per layer, as when max_seqlen stays on the device; take it once from the host's lengths",
        least=8,
        most=199,
        api=_SYNC,
    ),
    Rule(
        "host-seqlens",
        "stream synchronizations",
        "several read-backs per attention segment, as when slices are bounded by device scalars",
        least=200,
        api=_SYNC,
    ),
    Rule(
        "pinned-h2d",
        "pageable uploads",
        "each is staged by the driver and may block the host",
        copy=r"^HtoD pageable",
    ),
    Rule(
        "packed-h2d",
        "small uploads",
        "one packed copy can carry all integer metadata",
        least=4,
        copy=r"^HtoD",
        most_bytes=1 << 20,
    ),
    Rule(
        None,
        "uploads of 4 MiB or more",
        "pixels sent as bytes, and normalized on the device, are a quarter of fp32",
        copy=r"^HtoD",
        least_bytes=4 << 20,
    ),
    Rule(
        "rope-shared",
        "cos and sin kernels",
        "cos and sin are computed again in the layers",
        least=8,
        kernel=_TRIGONOMETRY,
    ),
    Rule(
        "rope-cache",
        "cos and sin kernels",
        "the angles of a grid do not change",
        most=7,
        kernel=_TRIGONOMETRY,
    ),
    Rule(
        "rope-packed",
        "negation kernels",
        "the rotate-half chain runs as separate kernels in every layer, for q and for k",
        least=16,
        kernel=r"neg_kernel",
    ),
    Rule(
        "no-empty-windows",
        "unique_consecutive kernels",
        "a data-dependent operation that synchronizes; without empty windows it is not needed",
        kernel=r"unique|adjacent_difference|DeviceSelectSweep|run_length",
    ),
    Rule(
        "window-cache",
        "sort kernels",
        "the window order of a grid does not change",
        kernel=r"(?i)radix_?sort|bitonicSort|merge_?sort",
    ),
    Rule(
        "batched-windows",
        "attention kernels",
        "windows of one size fit in one call",
        least=100,
        kernel=r"fmha|flash|attention|Attention",
    ),
    Rule(
        "patch-matmul",
        "3-d convolution kernels",
        "the patch embedding is a matrix product",
        kernel=r"(?i)conv3d|vol2col|convolveNd|implicit_gemm.*3d|fprop.*ndhwc",
    ),
    Rule(
        None,
        "kernel launches",
        "the device waits for launches; a captured CUDA graph is one launch",
        least=200,
        api=r"^(cuda|cu)Launch",
        idle_share=0.3,
    ),
)
