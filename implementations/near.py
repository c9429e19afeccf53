"""What to say of a name that nothing has. Imports no torch, so that a typing error costs no seconds."""

from collections.abc import Iterable
from difflib import get_close_matches


def no_flag(name: str, flags: Iterable[str], presets: Iterable[str] = ()) -> str:
    """The sentence for what is none of these flags or presets, with the nearest, or with all flags."""
    known = list(flags)
    preset = get_close_matches(name, list(presets), n=1)
    close = preset or get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]}?" if close else f"the flags are {', '.join(known)}"
    return f"there is no flag {'or preset ' * bool(preset)}{name!r}; {hint}"
