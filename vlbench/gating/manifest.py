"""The manifest: beside baselines, a list of those that must be judged and of their cells.

A file that was renamed, moved or deleted is then missed. Every command that seals a baseline writes it, and `vlbench
baseline remove`.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from vlbench.errors import IncomparableError, UsageError
from vlbench.judging.judged import JudgedRow
from vlbench.record.base import Record, record_of
from vlbench.record.baseline import Baseline, Said
from vlbench.record.baseline_files import BASELINE, find_baselines, write_baseline
from vlbench.record.locks import locked
from vlbench.untrusted.files import first_fault, parse_json, read_json

NAME = "baselines.manifest"
"""Not .json, so that it is not taken for a baseline."""


class Removal(Record):
    """A baseline that somebody took out, and why."""

    file: str
    by: Said
    reason: Said
    date: datetime


class Manifest(Record):
    """What must be judged of the folder that it lies in."""

    kind: Literal["manifest"] = "manifest"
    schema_version: Literal[1] = 1
    baselines: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Names of the cells by file name."""
    removed: tuple[Removal, ...] = ()


def read_manifest(folder: Path) -> Manifest | None:
    """That of a folder, None where it has none. Raises IncomparableError for one that cannot be read."""
    path = folder / NAME
    if not path.exists():
        return None
    try:
        return record_of(Manifest, read_json(path, BASELINE))
    except ValidationError as error:
        fault = first_fault(error)
    except UsageError as error:
        fault = str(error)
    raise IncomparableError(f"{path}: {fault}; take back what was changed by hand (`git checkout {path}`)")


def new_removal(path: Path, before: str | None) -> Removal | None:
    """Who took `path` out, where its manifest says so and the manifest `before`, a text, does not.

    None too where the removals that were there before are no longer as they were.
    """
    found = read_manifest(path.parent)
    if found is None or path.name in found.baselines:
        return None
    if (known := manifest_in(before)) is None:
        return None
    old = known.removed
    new = found.removed[len(old) :] if found.removed[: len(old)] == old else ()
    return next((each for each in reversed(new) if each.file == path.name), None)


def manifest_in(text: str | None) -> Manifest | None:
    """That of a file's text, an empty one where there was no file; None for a text that is none."""
    try:
        return Manifest() if text is None else record_of(Manifest, parse_json(text, NAME, BASELINE))
    except (ValidationError, UsageError):
        return None


def unlisted(path: Path, head: Baseline, before: str | None) -> list[str]:
    """Cells of `head` that the manifest `before`, a text, lists for `path`, and that beside it does not.

    Raises IncomparableError where that cannot be read.
    """
    known = manifest_in(before) or Manifest()
    listed = {cell.name for cell in head.cells}.intersection(known.baselines.get(path.name, ()))
    found = read_manifest(path.parent) if listed else None
    return sorted(listed.difference(found.baselines.get(path.name, ()) if found else ()))


def lists(path: Path, baseline: Baseline) -> bool:
    """Is the baseline of `path` in its manifest, with all of its cells?"""
    found = read_manifest(path.parent)
    return found is not None and set(found.baselines.get(path.name, ())) == {cell.name for cell in baseline.cells}


def enlist(path: Path, baseline: Baseline) -> None:
    """From now on, the cells of `baseline` in `path` must be judged. To be called inside `locked`."""
    found = read_manifest(path.parent) or Manifest()
    cells = {**found.baselines, path.name: tuple(cell.name for cell in baseline.cells)}
    _write(path.parent, found.model_copy(update={"baselines": dict(sorted(cells.items()))}))


def remove(path: Path, removal: Removal) -> None:
    """Delete a baseline, or strike one that is gone. Raises UsageError for what the manifest does not list."""
    if path.is_dir():
        raise UsageError(f"{path}: a folder; name the baseline file to remove")
    with locked(path.parent):
        found = read_manifest(path.parent)
        if found is None or path.name not in found.baselines:
            raise UsageError(f"{path}: {path.parent / NAME} does not list it; remove the file yourself")
        kept = {name: cells for name, cells in found.baselines.items() if name != path.name}
        _write(path.parent, found.model_copy(update={"baselines": kept, "removed": (*found.removed, removal)}))
        path.unlink(missing_ok=True)


def to_judge(given: Sequence[Path], folder: Path) -> tuple[list[Path], list[JudgedRow], list[str]]:
    """The files to judge, by default those of `folder`; a row for each that is gone; and what a reader has to know.

    Raises IncomparableError where there is no baseline, or none of a folder says what must be judged.
    """
    files = list(dict.fromkeys(given))
    if not files:
        found, files = read_manifest(folder), sorted(find_baselines(folder, empty=True))
        lost = [name for name in found.baselines if folder / name not in files] if found else []
        if not files and lost:
            raise IncomparableError(f"{folder / lost[0]}: {_gone(folder / lost[0])}")
        find_baselines(folder)
        if found is None:
            raise IncomparableError(
                f"{folder / NAME}: no such file, so nobody knows what must be judged; "
                f'`vlbench baseline accept {files[0]} --reason "..."` lists that file in it'
            )
        rows = [
            JudgedRow.missing(cell, "counters", f"{folder / name}: {_gone(folder / name)}")
            for name in lost
            for cell in found.baselines[name]
        ]
    else:
        rows = []
    notes = []
    for path in files:
        manifest = read_manifest(path.parent)
        if manifest is not None and path.name not in manifest.baselines:
            how = f'`vlbench baseline accept {path} --reason "..."`'
            notes.append(f"{path} is not in {path.parent / NAME}, so nobody would miss it: {how} lists it")
    return files, rows, notes


def lost_cells(path: Path, baseline: Baseline) -> list[JudgedRow]:
    """A row for each cell that the manifest lists and the file does not hold."""
    manifest, held = read_manifest(path.parent), {cell.name for cell in baseline.cells}
    listed = manifest.baselines.get(path.name, ()) if manifest else ()
    reason = f"{path} does not hold it, and {path.parent / NAME} lists it; bring it back"
    return [JudgedRow.missing(cell, "counters", reason) for cell in listed if cell not in held]


def _gone(path: Path) -> str:
    return (
        f"{path.parent / NAME} lists it and it is not there: was it renamed, moved or deleted? Bring it back, or "
        f'`vlbench baseline remove {path} --reason "..."`'
    )


def _write(folder: Path, manifest: Manifest) -> None:
    write_baseline(manifest, folder / NAME)
