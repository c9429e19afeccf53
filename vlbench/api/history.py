"""`vlbench.history`: stored figures over revisions or files, and where they changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from vlbench.api.arguments import File, paths
from vlbench.api.results import Result, Rows
from vlbench.comparing.history import History, history_of, history_rows, version_of
from vlbench.export.progress import watcher
from vlbench.record.baseline_files import find_baselines
from vlbench.revisions.past import past_of


@dataclass(frozen=True, repr=False)
class Past(Result):
    """Figures over versions: a row for each figure of each version."""

    record: tuple[History, ...]
    """One for each file whose past it is, or one for all files."""

    @property
    def title(self) -> str:
        """What it is, in one line."""
        return ", ".join(f"{each.source} in {len(each.versions)} versions" for each in self.record)

    def _rows(self) -> Rows:
        return [row for each in self.record for row in history_rows(each)]


def history(
    files: File | Iterable[File] | None = None, *, git: str | None = None, progress: bool | Callable[[str], None] = True
) -> Past:
    """Stored results, baselines, counts or verdicts of the gate over time, with each step of a count and of times.

    Several `files` are versions of one thing, in the order of their dates where all have one, else as given. One file
    is followed through the revisions of its repository that changed it; with `git`, such as "v1.0..HEAD", each of
    `files` is, between these. Without any file all of results/baselines are. Any step of a count is a change. Of times,
    levels of five readings or more are told apart, on one class of machine. Raises UsageError for a file or range that
    is none, and IncomparableError where nothing can be read.
    """
    named = paths(files)
    with watcher(progress) as watch:
        if len(named) > 1 and git is None:
            watch.say(f"reading {len(named)} files")
            versions = [version_of(path, path.stem) for path in named]
            if all(each.date for each in versions):
                versions.sort(key=lambda each: each.date)
            return Past((history_of(f"{len(named)} files", versions),))
        found = []
        for path in named or find_baselines():
            watch.say(f"reading the past of {path}")
            found.append(past_of(path, git, watch.steps))
        return Past(tuple(found))
