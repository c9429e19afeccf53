"""vlbench: which optimization of a vision tower helps, is it still right, and what did a change break."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vlbench.version import __version__

if TYPE_CHECKING:
    from vlbench.record.files import load
    from vlbench.towers.tower import Tower

__all__ = ["Tower", "__version__", "load"]


def __getattr__(name: str) -> object:
    # Imported on first use, so that `import vlbench` and `vlbench --help` stay quick.
    if name == "load":
        from vlbench.record.files import load

        return load
    if name == "Tower":
        from vlbench.towers.tower import Tower

        return Tower
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
