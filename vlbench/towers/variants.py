"""Variants by name: `baseline`, a flag, a preset, several joined by `+`, a peer, or anyone's `package.module:factory`.

Imports torch through the flag registry.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from vlbench.errors import UsageError
from vlbench.implementations.config import VisionConfig
from vlbench.implementations.floor import NAME as FLOOR
from vlbench.implementations.optimized import OPTIMIZATIONS, USUAL, Exactness, with_requirements
from vlbench.implementations.peers import PEERS
from vlbench.record.schema import NO_FLAGS, REFERENCE, SlowedOn
from vlbench.record.timing import PlanMade
from vlbench.towers.resolve import check_tower, flags_of

TOLD_ON_CUDA = ("best", "exact", "host-seqlens", "batched-windows", "classic")
"""Rows of a timed run on CUDA where none are named.

With segment bounds on the device a forward of 7B waits 4,238 times for one photo and 42,128 times for four large ones.
All but 31 of these waits are what `host-seqlens` removes, and 6,664 of 8,676 operations what `batched-windows` does
beside it; what another flag removes is lost in the waits where it is alone, and shows when it is left out of `best`.
`no-flags` asks a GPU for exactly what the reference tower does, so that it is left out, and single flags are held
against the reference tower. `classic`, which waits more often than that, comes last.
"""


@dataclass(frozen=True)
class Variant:
    """A row of the matrix."""

    name: str
    flags: tuple[str, ...] | None
    """Sorted; None for the reference tower, empty for a tower that is not ours."""
    exactness: Exactness = Exactness.BIT_EXACT
    left_out: dict[str, str] = field(default_factory=dict)
    """Flags of a preset that mean nothing here, with the reason."""
    reference: str = REFERENCE
    """The variant that its ratio is taken to."""
    tower: str | None = None
    """What `resolve_tower` makes of it, where it is not our own tower with `flags`."""
    source: str | None = None
    """Whose tower that is, with its version."""
    plan: PlanMade = "inside"
    """Where its plan is made."""
    slow_down: float = 0.0
    """Injected, for the harness to prove itself on: each call takes this share longer."""
    slowed_on: SlowedOn = "host"


def reference_tower() -> Variant:
    """The row of the reference tower."""
    return Variant(REFERENCE, None)


def no_flags() -> Variant:
    """The row of the optimized tower without any flag: what a single flag is held against, which pays for having a
    choice as this one does."""
    return Variant(NO_FLAGS, ())


def parse_variant(text: str, config: VisionConfig, device: str) -> Variant:
    """The variant that `text` names: flags and presets joined by `+`, or one tower that is not ours.

    Raises UsageError for what does not exist, conflicts, or means nothing for this model on this device. Flags of a
    preset that mean nothing here are left out and listed instead.
    """
    if text == REFERENCE:
        return reference_tower()
    if text == NO_FLAGS:
        return no_flags()
    if text == FLOOR:
        return tower_variant(f"{text}:{config.name}", Exactness.RESULT_CHANGING, name=text)
    if text in PEERS:
        if reason := PEERS[text].inapplicable(device):
            raise UsageError(f"variant {text!r}: {reason}")
        return tower_variant(f"{text}:{config.name}", name=text)
    if ":" in text:
        return tower_variant(text)
    chosen, left_out = flags_of(text, config, device)
    return Variant(text, tuple(sorted(chosen.names)), chosen.exactness(), left_out)


def tower_variant(text: str, exactness: Exactness = Exactness.REASSOCIATED, name: str | None = None) -> Variant:
    """A row for the tower that `resolve_tower` makes of `text`. Raises UsageError where it would not."""
    source = check_tower(text)
    return Variant(name or text, (), exactness, tower=text, source=source)


def first_tower(text: str) -> Variant:
    """The row of the tower that others are compared with, in place of our reference tower. Raises UsageError."""
    return replace(tower_variant(text, Exactness.BIT_EXACT), flags=None, reference=text)


def default_variants(config: VisionConfig, device: str) -> tuple[list[Variant], dict[str, str]]:
    """No flags, `best`, the other presets, and every flag that applies, alone with what it needs and in its pairs.

    The flags that do not apply, that change results, or whose kernel is not run here, come with the reason of each. A
    flag's ratio is to the tower without flags, a preset's to the reference tower. In this order rows are measured while
    there is time: does anything help comes before which of them.
    """
    presets = sorted({*USUAL} - {REFERENCE}, key=lambda name: (name != "best", USUAL.index(name)))
    variants, left_out = [no_flags(), *(parse_variant(preset, config, device) for preset in presets)], {}
    for flag, optimization in OPTIMIZATIONS.items():
        reason = optimization.inapplicable(config, device) or optimization.only_named
        if not reason and optimization.exactness is Exactness.RESULT_CHANGING:
            reason = f"it changes results, so it is a row where it is named alone: --with {flag}"
        if not reason and optimization.traffic and device == "cpu":
            reason = f"a kernel, in whose place a CPU runs plain torch: --with {flag} times that all the same"
        if reason:
            left_out[flag] = reason
            continue
        beside = (other for other in optimization.pairs if OPTIMIZATIONS[other].inapplicable(config, device) is None)
        for chosen in [(flag,), *((other, flag) for other in beside)]:
            needed = with_requirements(chosen).difference(chosen)
            row = parse_variant("+".join([*sorted(needed), *chosen]), config, device)
            variants.append(replace(row, reference=NO_FLAGS))
    return variants, left_out


def variants_on_cuda(config: VisionConfig) -> tuple[list[Variant], dict[str, str]]:
    """The few rows that tell the story on CUDA, each held against the reference tower; those left out, and why."""
    variants, left_out = [], {}
    for name in TOLD_ON_CUDA:
        reason = OPTIMIZATIONS[name].inapplicable(config, "cuda") if name in OPTIMIZATIONS else None
        if reason is None:
            needed = sorted(with_requirements([name]) - {name}) if name in OPTIMIZATIONS else []
            variants.append(parse_variant("+".join([*needed, name]), config, "cuda"))
        else:
            left_out[name] = reason
    return variants, left_out


def unique(variants: Iterable[Variant]) -> list[Variant]:
    """The reference tower first, then the others, each once."""
    named: dict[tuple[tuple[str, ...], str | None], Variant] = {}
    for variant in variants:
        if variant.flags is not None and variant.name not in {other.name for other in named.values()}:
            named.setdefault((variant.flags, variant.tower), variant)
    return [reference_tower(), *named.values()]
