"""`--tower`: towers that are measured against the first of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from vlbench.cli.options import find_device, find_dtype
from vlbench.errors import UsageError

if TYPE_CHECKING:
    from vlbench.record.schema import Device, Dtype
    from vlbench.towers.variants import Variant


@dataclass(frozen=True)
class TowerTarget:
    """The towers, the first of which is the yardstick, with the device and dtype that the options ask for."""

    model: str
    device: Device
    dtype: Dtype
    variants: list[Variant]
    own_weights: str
    """Where weights come from without a checkpoint."""
    left_out: dict[str, str] = field(default_factory=dict)
    default_model: bool = False


def resolve_towers(texts: list[str], device: str, dtypes: list[str | None], exactness: str | None) -> list[TowerTarget]:
    """One target per dtype. Raises UsageError for a tower, device, dtype or class that does not exist."""
    from vlbench.implementations.optimized import Exactness
    from vlbench.towers.models import DEFAULTS
    from vlbench.towers.resolve import is_foreign
    from vlbench.towers.variants import first_tower, tower_variant

    kind = find_device(device)
    classes = [str(each) for each in Exactness if each is not Exactness.RESULT_CHANGING]
    if exactness is not None and exactness not in classes:
        raise UsageError(f"--exactness: {exactness!r} is not one of {', '.join(classes)}; choose one of them")
    if twice := {text for text in texts if texts.count(text) > 1}:
        raise UsageError(f"--tower {min(twice)} is given twice; name each tower once")
    first, *others = texts
    stated = Exactness(exactness or Exactness.REASSOCIATED)
    rows = [first_tower(first)]
    rows += [replace(tower_variant(text, stated), reference=first) for text in others]
    own = "its own" if is_foreign(first) else "random"
    return [TowerTarget(first, kind, find_dtype(each or DEFAULTS[kind][1]), rows, own) for each in dtypes]


def refuse_together(**options: object) -> None:
    """Raises UsageError for an option that means nothing beside --tower."""
    for name, value in options.items():
        if value:
            raise UsageError(f"--{name} chooses among our own towers; leave it out, or name them all with --tower")
