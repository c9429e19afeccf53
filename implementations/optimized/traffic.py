"""What a kernel moves in memory, by its shapes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..config import VisionConfig


@dataclass(frozen=True)
class Traffic:
    """Bytes of one call."""

    moved: int
    """What its programs load and store, whatever caches spare the memory."""
    least: int
    """Each byte of its operands once, which no kernel can do without."""


TrafficRule = Callable[[VisionConfig, int, int], Traffic]
"""From the model, so many patches, and bytes of an element, for one image."""
