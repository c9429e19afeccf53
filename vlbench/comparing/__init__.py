"""Two sides become rows, and rows get verdicts.

`compare` takes whatever vlbench knows. Baselines that were measured again and revisions beside each other take their
rows from here, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vlbench.comparing.compared import compare as compare


def __getattr__(name: str) -> Any:
    if name != "compare":  # on first use: it imports scipy, which the names of counters do not need
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from vlbench.comparing.compared import compare

    return compare
