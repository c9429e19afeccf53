"""`vlbench.history`: stored figures over revisions or files, and where they changed."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from vlbench.api.arguments import File, paths
from vlbench.api.results import Result, Rows
from vlbench.comparing.history import History, history_of, history_rows, version_of
from vlbench.errors import UsageError
from vlbench.export.progress import watcher
from vlbench.gating.manifest import NAME as MANIFEST
from vlbench.judging.words import number_of
from vlbench.record.baseline_files import FOLDER, find_baselines
from vlbench.revisions.past import past_of


@dataclass(frozen=True, repr=False)
class Past(Result):
    """Figures over versions: a row for each figure of each version."""

    record: tuple[History, ...]
    """One for each file whose past it is, or one for all files."""

    @property
    def title(self) -> str:
        """What it is, in one line."""
        return ", ".join(f"{each.source} in {number_of(len(each.versions), 'version')}" for each in self.record)

    def _rows(self) -> Rows:
        return [row for each in self.record for row in history_rows(each)]


def history(
    files: File | Iterable[File] | None = None, *, git: str | None = None, progress: bool | Callable[[str], None] = True
) -> Past:
    """Stored results, baselines, counts or verdicts of the gate over time, with each step of a count and of times.

    Several `files` are versions of one thing, in the order of their dates where all have one, else as given. One file
    is followed through the revisions of its repository that changed it; with `git`, such as "v1.0..HEAD", each of
    `files` is, between these. A folder stands for the .json files in it; one with a manifest of baselines for each of
    these, as results/baselines does where nothing is given. Any step of a count is a change. Of times, levels of five
    readings or more are told apart, on one class of machine. Raises UsageError for a file or range that is none, and
    IncomparableError where nothing can be read.
    """
    named = paths(files) or [FOLDER]
    apart = git is not None or (len(named) == 1 and (named == [FOLDER] or (named[0] / MANIFEST).is_file()))
    named = [path for each in named for path in _inside(each, apart)]
    with watcher(progress) as watch:
        if len(named) > 1 and not apart:
            watch.say(f"reading {len(named)} files")
            many = Counter(path.stem for path in named)
            versions = [version_of(path, path.stem if many[path.stem] == 1 else str(path)) for path in named]
            if all(each.date for each in versions):
                versions.sort(key=lambda each: each.date)
            return Past((history_of(f"{len(named)} files", versions),))
        found = []
        for path in named:
            watch.say(f"reading the past of {path}")
            found.append(past_of(path, git, watch.steps))
        return Past(tuple(found))


def _inside(path: Path, apart: bool) -> list[Path]:
    """The files that a path stands for. Raises UsageError for a folder without any."""
    if apart and (path == FOLDER or (path / MANIFEST).is_file()):
        return find_baselines(path)
    if not path.is_dir():
        return [path]
    if found := sorted(path.glob("*.json")):
        return found
    raise UsageError(f"{path}: holds no .json file; give a folder of results, baselines, counts or verdicts")
