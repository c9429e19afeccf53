"""What a gate run must judge: by the manifest of the working tree, or by the merge base."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vlbench.errors import IncomparableError
from vlbench.gating.base import Base, baselines_at
from vlbench.gating.held import Held
from vlbench.gating.manifest import NAME, lost_cells, new_removal, to_judge, unlisted
from vlbench.gating.timed import GateResult
from vlbench.judging.judged import JudgedRow
from vlbench.process.git import text_at
from vlbench.record.baseline import Baseline
from vlbench.record.baseline_files import find_baselines, read_baseline

NOTHING = (
    "nothing was judged, for it takes the last baseline away; where that is meant, take `vlbench gate` out of the "
    "workflow as well"
)


@dataclass(frozen=True)
class Required:
    """Baselines to measure, and what is said of them beside the rows."""

    baselines: Mapping[Path, Baseline]
    """What is measured and judged; a file may have no cell left."""
    rows: Mapping[Path, Sequence[JudgedRow]]
    """What is missing before anything is measured, by file."""
    notes: Sequence[str] = ()
    held: Mapping[Path, Held] = field(default_factory=dict)
    """Each file beside that of the merge base, where there is one."""
    base: Base | None = None

    def settle(self, found: Mapping[Path, GateResult]) -> dict[Path, GateResult]:
        """The rows of what was measured, and of what is missing."""
        settled = {}
        for path in dict.fromkeys((*self.rows, *self.baselines)):
            result = found.get(path, GateResult([], []))
            result = self.held[path].settle(result) if path in self.held else result
            settled[path] = result._replace(rows=[*self.rows.get(path, ()), *result.rows])
        if not (settled.keys() - {path for path, each in self.held.items() if each.is_removed}):
            settled[Path("nothing")] = GateResult([JudgedRow.missing("the change", "counters", NOTHING)], [])
        return settled

    def proposable(self, path: Path) -> Baseline | None:
        """What a proposal for the file starts from: the file of the change. None where it has none, as for markers."""
        return self.held[path].head if path in self.held else self.baselines.get(path)


def by_manifest(given: Sequence[Path], folder: Path) -> Required:
    """The `given` files, or those that the manifest of `folder` lists. Raises UsageError, IncomparableError."""
    files, lost, notes = to_judge(given, folder)
    baselines = {path: read_baseline(path) for path in files}
    rows = {path: lost_cells(path, baseline) for path, baseline in baselines.items()}
    return Required(baselines, rows | ({folder: lost} if lost else {}), notes)


def by_base(
    base: Base, given: Sequence[Path], folders: tuple[Path, Path], *, first: bool = False, accepts: bool = True
) -> Required:
    """The `given` files of the merge base, or all of its folder, and what the change adds.

    `folders` are those of the merge base and of the change. Raises UsageError, IncomparableError.
    """
    if not (before := baselines_at(base, given, folders[0], first=first)):
        own = by_manifest(given, folders[1])
        note = f"{base.words} has no baseline: this is the first, and judged by its own figures"
        return Required(own.baselines, own.rows, (*own.notes, note))
    held, rows, listed = {}, dict[Path, list[JudgedRow]](), dict[Path, str | None]()
    for path in dict.fromkeys((*before, *(given or find_baselines(folders[1], empty=True)))):
        head, fault = None, ""
        try:
            head = read_baseline(path) if path.exists() else None
        except IncomparableError as error:
            if path not in before:
                raise
            fault = str(error)
        if path in before or head is not None:
            gone = head is None and not fault
            manifest = path.parent / NAME
            if manifest not in listed:
                listed[manifest] = text_at(base.commit, manifest)
            removal = new_removal(path, listed[manifest]) if gone else None
            if head and unlisted(path, head, listed[manifest]):
                why = f"{manifest} lists less of it than in {base.words}; bring that back (`git checkout`)"
                rows[path] = [JudgedRow.missing(str(path), "counters", why)]
            held[path] = Held(path, before.get(path), head, base.words, accepts, fault, removal)
    return Required({path: each.judged for path, each in held.items()}, rows, (), held, base)
