"""Targets: a model, or anyone's towers, in a dtype on a device, and the variants of it to look at."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from vlbench.errors import UsageError, check_choice
from vlbench.implementations.config import VisionConfig
from vlbench.implementations.optimized import Exactness
from vlbench.matrix.ablation import Ablation, ablate
from vlbench.record.schema import Device, Dtype
from vlbench.record.timing import PlanMade
from vlbench.towers.models import DEFAULTS, checkpoint_model, find_device, find_dtype, find_model
from vlbench.towers.plans import beside_handed_in, places_of, places_of_flags
from vlbench.towers.resolve import config_of, find_factory, is_foreign
from vlbench.towers.tower import Tower
from vlbench.towers.variants import (
    Variant,
    default_variants,
    first_tower,
    parse_variant,
    tower_variant,
    unique,
    variants_on_cuda,
)


@dataclass(frozen=True)
class Target:
    """What is measured, but for what is fed in."""

    model: str
    """One of our models, or the first of several towers."""
    device: Device
    dtype: Dtype
    variants: list[Variant]
    """The first is what all others are compared with."""
    config: VisionConfig | None = None
    """Of one of our models."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Flags that the default matrix leaves out, and why."""
    own_weights: str = "random"
    """Where weights come from without a checkpoint."""
    default_model: bool = False
    chosen: bool = False
    """Were variants named?"""
    few: bool = False
    """Are these the few rows that are timed on CUDA where none are named?"""
    without_plan: tuple[str, ...] = ()
    """Rows whose tower takes no plan that is handed in, where others' do."""

    @property
    def all_left_out(self) -> dict[str, list[str]]:
        """Flags that mean nothing here, by whatever would have had them: the matrix as a whole, or a preset."""
        found = {"the matrix": list(self.left_out)} if self.left_out else {}
        owners = [variant for variant in self.variants if variant.left_out and variant.plan == "inside"]
        return found | {variant.name: list(variant.left_out) for variant in owners}


def model_target(
    model: str | None,
    device: str,
    dtype: str | None,
    variants: Sequence[str],
    weights: Path | None = None,
    *,
    few: bool = False,
    elsewhere: bool = False,
) -> Target:
    """One of our models with `variants`, by default with every flag and preset; that of a checkpoint with `weights`.

    With `few`, by default on CUDA with the few that tell the story. Raises UsageError for a model, device, dtype or
    variant that does not exist or cannot be had.
    """
    kind = find_device(device, elsewhere=elsewhere)
    default_model, default_dtype = DEFAULTS[kind]
    config = (checkpoint_model(weights, model) if weights else None) or find_model(model or default_model)
    chosen_dtype = find_dtype(dtype or default_dtype)
    few = few and kind == "cuda" and not variants
    rows, left_out = variants_on_cuda(config) if few else default_variants(config, kind)
    if variants:
        rows, left_out = [parse_variant(text, config, kind) for text in variants], {}
    return Target(
        config.name,
        kind,
        chosen_dtype,
        unique(rows),
        config,
        left_out,
        default_model=model is None and weights is None,
        chosen=bool(variants),
        few=few,
    )


def tower_targets(
    texts: Sequence[str], device: str, dtypes: Sequence[str | None], exactness: str | None, *, elsewhere: bool = False
) -> list[Target]:
    """Towers that are measured against the first of them: one target per dtype.

    Raises UsageError for a tower, device, dtype or class that does not exist.
    """
    kind = find_device(device, elsewhere=elsewhere)
    stated = find_exactness(exactness)
    if twice := {text for text in texts if texts.count(text) > 1}:
        raise UsageError(f"--tower {min(twice)} is given twice; name each tower once")
    first, *others = texts
    rows = [first_tower(first), *(replace(tower_variant(text, stated), reference=first) for text in others)]
    own = "its own" if is_foreign(first) else "random"
    return [Target(first, kind, find_dtype(each or DEFAULTS[kind][1]), rows, own_weights=own) for each in dtypes]


def beside_reference(towers: Sequence[str]) -> list[str]:
    """These towers; one alone, where its model is known, after the reference tower of that model."""
    if len(towers) != 1:
        return list(towers)
    (text,) = towers
    config, found = config_of(text), find_factory(text) if is_foreign(text) else None
    model = config.name if config else found.model if isinstance(found, Tower) else None
    return [model, text] if model and model != text else [text]


def find_exactness(name: str | None) -> Exactness:
    """The class that a tower of anyone's claims, by default the last. Raises UsageError for one that is none."""
    classes = [each for each in Exactness if each is not Exactness.RESULT_CHANGING]
    chosen = Exactness.REASSOCIATED if name is None else name
    check_choice("--exactness", chosen, classes)
    return Exactness(chosen)


def ablated(target: Target, mode: str) -> Target:
    """The one variant of `target`, or `best`, in place of its variants taken apart. Raises UsageError."""
    assert target.config is not None
    check_choice("--ablate", mode, Ablation)
    if target.chosen and len(target.variants) != 2:
        raise UsageError(f"--ablate takes one variant apart and {len(target.variants) - 1} were given; name one")
    whole = target.variants[1] if target.chosen else parse_variant("best", target.config, target.device)
    rows = ablate(Ablation(mode), whole, target.config, target.device)
    return replace(target, variants=rows, left_out={}, few=False)


def with_handed_in(target: Target) -> Target:
    """With rows in which plans are handed in, taken to the same tower that makes its own. Raises UsageError."""

    def places(row: Variant) -> tuple[PlanMade, ...]:
        return places_of(row.tower, target.device) if row.tower else places_of_flags(row.flags)

    rows = beside_handed_in(target.variants, places, lambda row: {"flags": row.flags or (), "reference": row.name})
    without = tuple(row.name for row in target.variants if not places(row))
    return replace(target, variants=rows, without_plan=without)


def targets_of(
    models: Sequence[str],
    towers: Sequence[str],
    variants: Sequence[str],
    ablation: str | None,
    exactness: str | None,
    device: str,
    dtypes: Sequence[str | None],
    weights: Path | None = None,
    *,
    few: bool = False,
    plan: bool = False,
    elsewhere: bool = False,
) -> list[Target]:
    """All that is chosen: models with variants of theirs, by default `few` on CUDA, or towers of anyone's.

    With `plan`, rows beside them have their plan handed in; the default is then `best`. A `device` that is named may be
    `elsewhere`. Raises UsageError.
    """
    if plan:
        if ablation:
            raise UsageError("--ablate takes one variant apart, and --plan adds rows to each; leave one of them out")
        chosen = variants or ([] if towers else ["best"])
        found = targets_of(models, towers, chosen, ablation, exactness, device, dtypes, weights)
        return [with_handed_in(target) for target in found]
    if not towers:
        if exactness:
            raise UsageError("--exactness is what the towers of --tower claim; leave it out: each flag has its own")
        found = [
            model_target(model, device, dtype, variants, weights, few=few, elsewhere=elsewhere)
            for model in models or (None,)
            for dtype in dtypes
        ]
        return [ablated(target, ablation) for target in found] if ablation else found
    for name, value in {"model": models, "variant": variants, "ablate": ablation}.items():
        if value:
            raise UsageError(f"--{name} chooses among our own towers; leave it out, or name them all with --tower")
    return tower_targets(towers, device, dtypes, exactness, elsewhere=elsewhere)
