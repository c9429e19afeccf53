"""What our commands print with --json and no command reads as a file: told apart by telling keys, never accused."""

from collections.abc import Iterable

from vlbench.errors import UsageError

_PRINTED: tuple[tuple[frozenset[str], str], ...] = (
    (frozenset({"unfit", "fingerprint"}), "`vlbench baseline show --json`; give the baseline file that it showed"),
    (frozenset({"file", "cells", "accepted"}), "a command of `vlbench baseline`; give the baseline file that it names"),
    (frozenset({"floors", "rows", "exit_code"}), "`vlbench judge --json`; `vlbench diff A B --json` has what is read"),
    (frozenset({"command", "rows", "exit_code"}), "a comparison with --json; `vlbench.load` in Python reads it"),
    (frozenset({"variant", "forwards", "batch"}), "`vlbench profile --json`; `vlbench profile` measures it again"),
    (frozenset({"name", "accuracy", "counts"}), "`vlbench verify --json`; `vlbench verify` checks it again"),
    (frozenset({"versions", "series"}), "`vlbench history --json`; `vlbench report --history` takes its files"),
    (frozenset({"cache_hit_rate", "forwards"}), "`vlbench simulate --json`; `vlbench simulate` shows it again"),
    (frozenset({"groups", "region"}), "`vlbench count --capture --json`; `vlbench count --capture` looks again"),
    (frozenset({"groups", "profile"}), "`vlbench count --json`; `vlbench diff` and `vlbench.load` in Python read it"),
    (frozenset({"groups", "fingerprint"}), "`vlbench run`; `vlbench show`, `vlbench diff` and `vlbench.load` read it"),
)
"""Telling keys, and which command printed what has them and what reads it. The first that fits is it."""


def check_not_printed(path: object, content: object) -> None:
    """Raises UsageError, which says what it is and what reads it, for what a command of ours printed."""
    first = content[0] if isinstance(content, list) and content else content
    keys: Iterable[str] = first.keys() if isinstance(first, dict) else ()
    for telling, told in _PRINTED:
        if telling <= set(keys):
            raise UsageError(f"{path}: is what came of {told}")
