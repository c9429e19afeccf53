"""Rows that tell what each flag is worth beside the others: a whole set, and that set changed by one flag, or by two.

A flag of the set is left out, with whatever needs it. Any other is put in, in place of what it excludes: the flag of
its seam, which is how two ways of one seam are compared. Two flags of the set are left out together where one names the
other: only they can be worth more, or less, together than their parts.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations

from vlbench.errors import UsageError
from vlbench.implementations.config import VisionConfig
from vlbench.implementations.optimized import OPTIMIZATIONS, Exactness, Optimization, with_requirements
from vlbench.implementations.optimized.seam import excluded_by
from vlbench.matrix.ablation import variant_of, without
from vlbench.towers.variants import Variant, parse_variant, reference_tower


@dataclass
class Candidates:
    """The whole set, and what is measured against it."""

    whole: Variant
    config: VisionConfig
    device: str
    changed: dict[str, Variant] = field(default_factory=dict)
    """By flag: the set without it, or with it."""
    together: dict[tuple[str, str], Variant] = field(default_factory=dict)
    """By two flags of it: the set without both."""
    inapplicable: dict[str, str] = field(default_factory=dict)
    """Flags that mean nothing here, with the reason."""
    not_tried: dict[str, str] = field(default_factory=dict)

    @property
    def order(self) -> list[str]:
        """All flags of a tower, in the order of the forward."""
        return [flag for flag, each in OPTIMIZATIONS.items() if each.seam.in_tower]

    @property
    def flags(self) -> frozenset[str]:
        """Of the whole set."""
        return frozenset(self.whole.flags or ())

    @property
    def rows(self) -> list[Variant]:
        """All variants, each once, in the order of the forward."""
        return self.by_weight({})

    def by_weight(self, weights: Mapping[str, float]) -> list[Variant]:
        """The same in the order in which they are measured while there is time: flags of the largest weight first."""
        flags = sorted(self.changed, key=lambda flag: -weights.get(flag, 0.0))
        rows = [self.whole, *(self.changed[flag] for flag in flags), *self.together.values()]
        return [reference_tower(), *{row.name: row for row in rows}.values()]


def candidates(config: VisionConfig, device: str, start: str = "best") -> Candidates:
    """What there is to measure beside a set to start from, such as a preset, for this model and kind of device.

    Raises UsageError for a set that there is not.
    """
    whole = parse_variant(start, config, device)
    if whole.flags is None or whole.tower:
        raise UsageError(f"--start {start}: no flags to start from; name a preset, or flags joined by +")
    found = Candidates(whole, config, device)
    for flag in found.order:
        optimization = OPTIMIZATIONS[flag]
        if reason := optimization.inapplicable(config, device):
            found.inapplicable[flag] = reason
        elif flag in found.flags:
            rest = without([flag], found.flags)
            found.changed[flag] = _changed(f"without {flag}", rest, whole, config, device)
        elif reason := _why_not(optimization, device):
            found.not_tried[flag] = reason
        else:
            try:
                found.changed[flag] = _changed(f"with {flag}", put_in(flag, found.flags), whole, config, device)
            except UsageError as error:
                found.not_tried[flag] = str(error)
    for one, other in related(found.flags):
        rest = without([one, other], found.flags)
        found.together[one, other] = _changed(f"without {one} and {other}", rest, whole, config, device)
    return found


def put_in(flag: str, flags: frozenset[str]) -> frozenset[str]:
    """The flags with this one and what it needs, in place of what these exclude and of other ways of their seams."""
    added = with_requirements([flag])
    seams = {OPTIMIZATIONS[each].seam.name for each in added}
    excluded = {other for each in added for other in excluded_by(OPTIMIZATIONS[each])}
    gone = [each for each in flags - added if OPTIMIZATIONS[each].seam.name in seams or each in excluded]
    return without(gone, flags) | added


def related(flags: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Every two of these flags of which one names the other, but for one that needs the other: without that one both
    are left out anyway."""
    for one, other in combinations(sorted(flags), 2):
        needs = other in with_requirements([one]) or one in with_requirements([other])
        if not needs and (other in _named_by(OPTIMIZATIONS[one]) or one in _named_by(OPTIMIZATIONS[other])):
            yield one, other


def needed_by(flag: str, flags: frozenset[str]) -> frozenset[str]:
    """The others of these flags that need this one."""
    return flags - without([flag], flags) - {flag}


def _named_by(flag: Optimization) -> set[str]:
    return {*flag.requires, *flag.beside, *flag.pairs, *flag.excludes}


def _why_not(flag: Optimization, device: str) -> str:
    """Why a flag that means something is not tried unasked; "" where it is."""
    if flag.only_named:
        return flag.only_named if device == "cpu" else "it is tried where it is named alone"
    if flag.exactness is Exactness.RESULT_CHANGING:
        return "it changes results"
    return "a kernel, in whose place a CPU runs plain torch" if flag.traffic and device == "cpu" else ""


def _changed(name: str, flags: frozenset[str], whole: Variant, config: VisionConfig, device: str) -> Variant:
    return variant_of(name, flags, config, device, reference=whole.name)
