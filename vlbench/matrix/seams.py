"""The rows of a seam that is measured alone: its naive way, then each of its flags."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vlbench.implementations.config import VisionConfig
from vlbench.implementations.optimized import OPTIMIZATIONS, Exactness, with_requirements
from vlbench.implementations.optimized.seam import Seam
from vlbench.towers.variants import Variant

NAIVE = "naive"


def seam_variants(
    seams: Sequence[Seam[Any]], config: VisionConfig, device: str
) -> tuple[list[Variant], dict[str, str]]:
    """The naive way as the yardstick and every flag of `seams`; and the flags left out, with reasons.

    A flag brings along what it needs of these seams; needs elsewhere are no part of what is measured.
    """
    here = [flag for flag, each in OPTIMIZATIONS.items() if each.seam in seams]
    variants, left_out = [Variant(NAIVE, None, reference=NAIVE)], {}
    for flag in here:
        if reason := OPTIMIZATIONS[flag].inapplicable(config, device, alone=True):
            left_out[flag] = reason
            continue
        needed = sorted(with_requirements([flag]).intersection(here) - {flag})
        exactness = max((OPTIMIZATIONS[name].exactness for name in (*needed, flag)), key=list(Exactness).index)
        variants.append(Variant("+".join([*needed, flag]), tuple(sorted([*needed, flag])), exactness, reference=NAIVE))
    return variants, left_out
