"""What is counted inside the encoder's forwards, and what removes it: a flag of ours where one does."""

from __future__ import annotations

from dataclasses import dataclass

from vlbench.implementations.optimized.advice import STREAM_SYNCS, InCapture


@dataclass(frozen=True)
class Rule(InCapture):
    """One line of advice. `why` says what would remove the pattern where no flag does."""

    flag: str | None = None


UNFLAGGED = (
    Rule(
        "stream synchronizations",
        "about one read-back per layer, as when max_seqlen stays on the device; take it once from the host's lengths",
        least=8,
        most=199,
        api=STREAM_SYNCS,
    ),
    Rule(
        "uploads of 4 MiB or more",
        "pixels sent as bytes, and normalized on the device, are a quarter of fp32",
        copy=r"^HtoD",
        least_bytes=4 << 20,
    ),
    Rule(
        "kernel launches",
        "the device waits for launches; a captured CUDA graph is one launch",
        least=200,
        api=r"^(cuda|cu)Launch",
        idle_share=0.3,
    ),
)
"""What no flag of ours removes."""


def rules() -> tuple[Rule, ...]:
    """What the flags say of themselves, in the order of the forward, then what no flag removes. Imports torch."""
    from vlbench.implementations.optimized import OPTIMIZATIONS

    seen = ((one.flag, each) for one in OPTIMIZATIONS.values() for each in one.advice)
    return (*(Rule(**vars(each), flag=flag) for flag, each in seen if isinstance(each, InCapture)), *UNFLAGGED)
