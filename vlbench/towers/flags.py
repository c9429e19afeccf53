"""Flags by name: one, a preset, or several joined by `+`. Imports torch through the flag registry."""

from __future__ import annotations

from difflib import get_close_matches

from vlbench.errors import UsageError
from vlbench.implementations.config import VisionConfig
from vlbench.implementations.optimized import OPTIMIZATIONS, PRESETS, FlagError, FlagSet, preset_flags
from vlbench.implementations.peers import PEERS


def flags_of(text: str, config: VisionConfig, device: str) -> tuple[FlagSet, dict[str, str]]:
    """The flags that `text` names, and those of its presets that mean nothing here, with the reason.

    Raises UsageError for what does not exist, conflicts, or means nothing for this model on this device.
    """
    flags: set[str] = set()
    left_out: dict[str, str] = {}
    try:
        for name in text.split("+"):
            if name in PRESETS:
                kept, out = preset_flags(name, config, device)
                flags |= kept
                left_out |= out
            elif name in PEERS:
                raise FlagError(f"{name} is another project's tower, which has none of our flags; name it alone")
            else:
                flags.add(name)
        return FlagSet(frozenset(flags), config, device), left_out
    except FlagError as error:
        close = [] if name in OPTIMIZATIONS else get_close_matches(name, PRESETS, n=1)
        hint = f"there is no flag or preset {name!r}; did you mean {close[0]}?" if close else str(error)
        raise UsageError(f"variant {text!r}: {hint}") from None
