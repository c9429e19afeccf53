"""Readers of result files: one file per format, chosen by what a file holds.

A file in this folder that has a `READER` is found.
"""

import pkgutil
from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module

from vlbench.errors import UsageError, check_choice
from vlbench.readers.document import Reader, load
from vlbench.record.directions import Better
from vlbench.record.printed import check_not_printed
from vlbench.record.runs import Run
from vlbench.untrusted.limits import Limit

_FILES = (import_module(each.name) for each in pkgutil.iter_modules(__path__, f"{__name__}."))
READERS: dict[str, Reader] = {file.READER.name: file.READER for file in _FILES if hasattr(file, "READER")}


def read(path: str, name: str | None = None, directions: Mapping[str, Better] | None = None) -> list[Run]:
    """The runs in the file at `path`, by the reader called `name` or else by the one that recognises the file.

    `directions` says which way metrics are good, by name, whatever their words say.
    Raises `UsageError` with one sentence if the file cannot be read or no reader knows it.
    """
    if name is not None:
        check_choice("--format", name, READERS)
    document = load(path, directions)
    check_not_printed(path, document.objects[0] if len(document.objects) == 1 else None)
    claims = [reader for reader in ([READERS[name]] if name else READERS.values()) if reader.recognises(document)]
    if len(claims) > 1:
        names = " and of ".join(reader.name for reader in claims)
        raise UsageError(f"{path} has the marks of {names}; say which it is with --format, or give them apart")
    if claims:
        return [_told(run, document.directions) for run in claims[0].read(document)]
    Limit.PASTED.check(0 if document.objects else len(document.text.splitlines()), path, "name what the tool printed")
    near = {each.name: each.lacking(document) for each in ([READERS[name]] if name else READERS.values())}
    least = min(map(len, filter(None, near.values())), default=0)
    told = " or ".join(f"{each}, but lacks {', '.join(keys)}" for each, keys in near.items() if 0 < len(keys) == least)
    if told:
        raise UsageError(f"{path} is nearly in the format {told}; is the file whole?")
    if name:
        raise UsageError(f"{path} is not in the format {name}; leave the format out to have it found")
    raise UsageError(f"{path} is in no known format ({', '.join(READERS)}); write name,value lines instead")


def _told(run: Run, directions: Mapping[str, Better]) -> Run:
    told = {name: replace(run.metrics[name], better=way) for name, way in directions.items() if name in run.metrics}
    return replace(run, metrics={**run.metrics, **told})
