"""One file per format: whatever stands here is an option of every command that shows a table."""

import pkgutil
from importlib import import_module

from vlbench.export.registry import EXPORTERS, Exporter


def exporters() -> dict[str, Exporter]:
    """Every format by its name, in the order of names. A file that is put into this folder is found."""
    for module in pkgutil.iter_modules(__path__, f"{__name__}."):
        import_module(module.name)
    return dict(sorted(EXPORTERS.items()))
