"""Ablations: what each flag of a set is worth, alone, at the margin, in sequence and in pairs."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from enum import StrEnum
from itertools import combinations

from vlbench.errors import UsageError
from vlbench.implementations.config import VisionConfig
from vlbench.implementations.optimized import OPTIMIZATIONS, FlagError, FlagSet, with_requirements
from vlbench.record.schema import NO_FLAGS
from vlbench.towers.variants import Variant, no_flags, reference_tower


class Ablation(StrEnum):
    """How a flag set is taken apart."""

    ADD_ONE = "add-one"
    """Each flag, with what it needs, against the tower without flags."""
    LEAVE_ONE_OUT = "leave-one-out"
    """The whole set without each flag and whatever needs it, against the whole set: above 1 means the flag helps."""
    CUMULATIVE = "cumulative"
    """One flag after the other, each against the set before it."""
    PAIRS = "pairs"
    """Every two flags together, against the tower without flags, beside each alone."""


def ablate(mode: Ablation, whole: Variant, config: VisionConfig, device: str) -> list[Variant]:
    """The variants of this ablation, the reference tower first. Raises UsageError for a set too small to take apart."""
    flags = [flag for flag in OPTIMIZATIONS if flag in (whole.flags or ())]
    if len(flags) < 2:
        raise UsageError(
            f"--ablate {mode}: {whole.name!r} has {'1 flag' if flags else 'no flag'} here; give a set of at least two"
        )
    make = {
        Ablation.ADD_ONE: _add_one,
        Ablation.LEAVE_ONE_OUT: _leave_one_out,
        Ablation.CUMULATIVE: _cumulative,
        Ablation.PAIRS: _pairs,
    }[mode]
    made = make(flags, whole, config, device)
    bare = [no_flags()] if any(each.reference == NO_FLAGS for each in made) else []
    return [reference_tower(), *bare, *made]


def _add_one(flags: Sequence[str], whole: Variant, config: VisionConfig, device: str) -> list[Variant]:
    found = [variant_of(flag, with_requirements([flag]), config, device) for flag in flags]
    return [*found, whole]


def _leave_one_out(flags: Sequence[str], whole: Variant, config: VisionConfig, device: str) -> list[Variant]:
    rest = {f"without {flag}": without([flag], flags) for flag in flags}
    return [whole, *(variant_of(name, kept, config, device, reference=whole.name) for name, kept in rest.items())]


def _cumulative(flags: Sequence[str], whole: Variant, config: VisionConfig, device: str) -> list[Variant]:
    found: list[Variant] = []
    so_far: frozenset[str] = frozenset()
    for flag in flags:
        so_far |= with_requirements([flag])
        if found and found[-1].flags == tuple(sorted(so_far)):
            continue  # it came with an earlier flag that needs it
        found.append(variant_of(f"+{flag}", so_far, config, device, reference=found[-1].name if found else NO_FLAGS))
    return found


def _pairs(flags: Sequence[str], whole: Variant, config: VisionConfig, device: str) -> list[Variant]:
    found: dict[frozenset[str], Variant] = {}
    for pair in [*((flag,) for flag in flags), *combinations(flags, 2)]:
        chosen = with_requirements(pair)
        found.setdefault(chosen, variant_of("+".join(sorted(chosen)), chosen, config, device))
    return list(found.values())


def without(gone: Collection[str], flags: Iterable[str]) -> frozenset[str]:
    """The flags that stay when some go, and with them whatever needs one of them."""
    return frozenset(other for other in flags if not with_requirements([other]).intersection(gone))


def variant_of(
    name: str, flags: frozenset[str], config: VisionConfig, device: str, reference: str = NO_FLAGS
) -> Variant:
    """The variant with these flags, of which the name says something else. Raises UsageError for a set of no tower."""
    try:
        chosen = FlagSet(flags, config, device)
    except FlagError as error:
        raise UsageError(f"{name}: {error}") from None
    made = Variant(name, tuple(sorted(chosen.names)), chosen.exactness())
    return replace(made, reference=reference)
