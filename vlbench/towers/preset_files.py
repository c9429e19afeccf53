"""Preset files among the names of flags and presets: what they turn on, and where they were made for something else."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from vlbench.errors import UsageError
from vlbench.record.preset_file import PRESET, is_preset_file, read_preset
from vlbench.record.schema import NO_FLAGS


def flags_in(name: str, registry: Any) -> tuple[str, ...]:
    """The flags of the preset file called `name`; `registry` is the package `optimized` that has to know them.

    Raises UsageError, which names file and field.
    """
    found = read_preset(Path(name))
    try:
        for flag in found.flags:
            registry.find_flag(flag)
    except registry.FlagError as error:
        raise UsageError(f"{name}: flags: {error}; mend it, or {PRESET.remedy}") from None
    return found.flags


def spelled_out(text: str, registry: Any) -> str:
    """A tower of ours in which preset files stand as their flags, joined by +, for who cannot read the file."""
    model, *parts = text.split("+")
    found = [flags_in(part, registry) if is_preset_file(part) else (part,) for part in parts]
    flags = dict.fromkeys(flag for each in found for flag in each)
    return "+".join([model, *(flags or [NO_FLAGS] * bool(parts))])


def made_otherwise(
    texts: Iterable[str], device: str, width: int | None = None, patches: int | None = None
) -> Iterator[str]:
    """A sentence for each preset file among variants or towers that was chosen for another device or size.

    And for one that was edited since.
    """
    for name in dict.fromkeys(part for text in texts for part in text.split("+") if is_preset_file(part)):
        found = read_preset(Path(name))
        if here := found.differs(device, width, patches):
            yield (
                f"{name} was chosen for {found.made_for()}, and here it is {' and '.join(here)}: nothing says that it "
                "is best here; `vlbench recommend` does."
            )
        if not found.intact:
            yield f"{name} was edited since it was written: its figures may be those of other flags."
