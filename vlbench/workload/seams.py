"""Every seam that can be measured alone, by name."""

from vlbench.errors import check_choice
from vlbench.workload.prompts import PROMPTS
from vlbench.workload.seam_case import CASES, SeamCase

__all__ = ["CASES", "PROMPTS", "find_seam_case", "seams_fed"]


def find_seam_case(name: str) -> SeamCase:
    """The case called `name`; UsageError with the list when there is none."""
    check_choice("--seam", name, CASES)
    return CASES[name]


def seams_fed(prompts: str) -> list[str]:
    """The seams that have these prompts (a name of PROMPTS) as one of their sizes."""
    return [name for name, case in CASES.items() if prompts in case.sizes]
