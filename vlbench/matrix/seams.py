"""A seam that is measured alone: its ladder of sizes, and as rows its naive way and then each of its flags."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from vlbench.errors import UsageError
from vlbench.implementations.config import VisionConfig
from vlbench.implementations.optimized import OPTIMIZATIONS, Exactness, with_requirements
from vlbench.implementations.optimized.seam import Seam
from vlbench.matrix.plan import CellFilter, Fed
from vlbench.matrix.targets import Target
from vlbench.towers.variants import Variant
from vlbench.workload.scenario import SeamPoint
from vlbench.workload.seams import PROMPTS, find_seam_case, seams_fed

NAIVE = "naive"
OF_TOWERS = "scenario model variant tower ablate images scenario_sizes exactness weights plan"
"""Options that a seam alone does not read."""


def seams_of_prompts(
    scenarios: list[str], seams: list[str], cells: CellFilter
) -> tuple[list[str], list[str], CellFilter, str]:
    """The same, or where the scenarios are prompts, their seams at these sizes; and the option that asks for seams.

    Raises UsageError for a mixture, and for a seam that has none of the prompts as a size.
    """
    prompts = tuple(name for name in scenarios if name in PROMPTS)
    if not prompts:
        return scenarios, seams, cells, "--seam"
    if others := [name for name in scenarios if name not in PROMPTS]:
        raise UsageError(
            f"--scenario {prompts[0]} is about a prompt, and {others[0]} feeds a tower; measure them in two runs"
        )
    found = sorted({seam for name in prompts for seam in seams_fed(name)})
    if strange := [name for name in seams if name not in found]:
        raise UsageError(
            f"--scenario {prompts[0]} is no size of --seam {find_seam_case(strange[0]).name}; "
            f"leave one of the two out, or name {' or '.join(found)}"
        )
    return [], seams or found, CellFilter({"point": prompts, **cells.patterns}), f"--scenario {prompts[0]}"


def refuse_beside_seams(asking: str, options: Mapping[str, object]) -> None:
    """UsageError for an option that says what a whole tower is fed or made of, beside the one that asks for seams."""
    for name in OF_TOWERS.split():
        if options[name]:
            raise UsageError(
                f"--{name.replace('_', '-')} is about a whole tower, and {asking} measures "
                "seams alone, all their ways at their own sizes; leave one of the two out"
            )


def fed_to_seams(names: Sequence[str], models: Sequence[Target], states: Sequence[str]) -> list[Fed]:
    """Each seam at each of its sizes, in the dtype, on the device and with the shapes of each of `models`.

    Raises UsageError for a seam that does not exist or needs a GPU where there is none, and for states of caches, which
    no seam has.
    """
    cases = [find_seam_case(name) for name in dict.fromkeys(names)]
    if caches := {"cold", "churn"}.intersection(states):
        raise UsageError(f"--state {min(caches)} is about a tower's caches, and a seam alone has none; leave it out")
    fed: list[Fed] = []
    for case in cases:
        for model in models:
            assert model.config is not None
            if case.needs_gpu and model.device != "cuda":
                raise UsageError(
                    f"--seam {case.name} measures copies to a GPU, and on a {model.device} there are none; leave it out"
                )
            variants, left_out = seam_variants(case.seams, model.config, model.device)
            points = [SeamPoint(seam=case.name, size=size, label=label) for label, size in case.sizes.items()]
            ways = replace(model, variants=variants, left_out=left_out, default_model=False)
            fed.append((points[0].scenario, points, ways))
    return fed


def seam_variants(
    seams: Sequence[Seam[Any]], config: VisionConfig, device: str
) -> tuple[list[Variant], dict[str, str]]:
    """The naive way as the reference and every flag of `seams`; and the flags left out, with reasons.

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
