"""Every seam that can be measured alone, by name."""

from __future__ import annotations

from difflib import get_close_matches

from vlbench.errors import UsageError
from vlbench.workload import seam_inputs  # noqa: F401  # it registers them
from vlbench.workload.seam_case import CASES, SeamCase


def seam_cases() -> dict[str, SeamCase]:
    """The cases by name."""
    return CASES


def find_seam_case(name: str) -> SeamCase:
    """The case called `name`; UsageError with the list when there is none."""
    if name not in CASES:
        close = get_close_matches(name, CASES, n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        raise UsageError(f"--seam: there is no seam {name!r}{hint}; the seams are {', '.join(CASES)}")
    return CASES[name]
