"""Verdicts as annotations of GitHub Actions: workflow commands on the output, seen beside the lines of a diff.

What fails is an error, what is worse but has no say a warning, what is better a notice.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vlbench.export.registry import Goal, exporter
from vlbench.export.sheet import Sheet
from vlbench.export.wording import fails, line_in_words, ordered, outcome
from vlbench.judging.verdict import NO_WORSE, Verdict
from vlbench.process import git
from vlbench.record.grouping import gathered
from vlbench.untrusted.names import github_message, github_property, line

if TYPE_CHECKING:
    from vlbench.judging.judged import Judged, JudgedRow, Move

MOST_ANNOTATIONS = 10
"""Of a kind; of more in one step GitHub shows the first ten."""
CELLS = 3
"""Cells that are named in one annotation."""
SENTENCES = 500
"""Characters of a reason that are shown."""

Locate = Callable[[str], str | None]
"""From a file as seen from its import root to its path in the repository, None where it is not there."""


@dataclass(frozen=True)
class Annotation:
    """What is said at one place, or, without a file, of the whole."""

    level: str
    title: str
    message: str
    file: str | None = None
    line: int | None = None


@exporter(
    "github",
    "In GitHub Actions: annotate lines, and add to the summary of the job.",
    comparison="annotations on the lines that got worse (at most ten of a kind), and the Markdown in the summary of "
    "the job",
    tables="an annotation for each check that failed, and the Markdown in the summary of the job",
    goal=Goal.ASIDE,
)
def github_text(sheet: Sheet) -> str:
    """A line for each annotation; none where nothing was judged. Beside tables, only what could fail is annotated."""
    if (judged := sheet.judged) is None:
        return ""
    if sheet.parts:
        judged = judged.model_copy(update={"rows": tuple(row for row in judged.rows if row.gates)})
    return annotated(judged, locator())


def annotated(judged: Judged, locate: Locate) -> str:
    """A line for each annotation, at most ten of a level. A line of code that moved in many cells has one."""
    rows = ordered(judged)
    cells = gathered((each, line(row.cell)) for row in rows for each in _annotations(row, judged, locate))
    if not any(row.gates for row in judged.rows):
        cells[
            Annotation("error" if judged.enforced else "warning", f"vlbench {judged.command}: missing", outcome(judged))
        ] = []
    said = []
    for level in dict.fromkeys(annotation.level for annotation in cells):
        here = [annotation for annotation in cells if annotation.level == level]
        kept = here if len(here) <= MOST_ANNOTATIONS else here[: MOST_ANNOTATIONS - 1]
        said += [_command(annotation, _named(cells[annotation])) for annotation in kept]
        if more := len(here) - len(kept):
            said.append(_command(Annotation(level, f"vlbench {judged.command}", f"{more} more are in the log"), ""))
    return "\n".join(said)


def _command(annotation: Annotation, cells: str) -> str:
    """The workflow command, escaped as the runner undoes it."""
    places = {"file": annotation.file, "line": annotation.line, "title": annotation.title}
    given = ",".join(f"{name}={github_property(str(value))}" for name, value in places.items() if value is not None)
    message = f"{annotation.message} ({cells})" if cells else annotation.message
    return f"::{annotation.level} {given}::{github_message(message)}"


def locator() -> Locate:
    """Finds files of the repository: $GITHUB_WORKSPACE, or else what git says, or else the current folder.

    Import roots are the current folder, the repository, and what else Python imports from inside it; site-packages are
    not its own. Links are followed, as a diff shows the file that they lead to.
    """
    here = Path.cwd()
    top = Path(os.environ.get("GITHUB_WORKSPACE") or git.top() or here).resolve()
    imported = [Path(entry).resolve() for entry in sys.path if entry and "site-packages" not in entry]
    roots = dict.fromkeys(each for each in (here.resolve(), top, *imported) if each.is_relative_to(top))

    def locate(file: str) -> str | None:
        for each in roots:
            found = (each / file).resolve()
            if found.is_file() and found.is_relative_to(top):
                return found.relative_to(top).as_posix()
        return None

    return locate


def _annotations(row: JudgedRow, judged: Judged, locate: Locate) -> Iterator[Annotation]:
    """One for each line that got worse and is in the repository; else one for the row."""
    if row.verdict is Verdict.SAME:
        return
    worse = "error" if fails(row, judged) else "warning"
    level = "notice" if row.verdict in NO_WORSE else worse
    title = f"vlbench {judged.command}: {row.verdict}"
    lines = [move for move in row.moves if move.kind == "line" and move.after > move.before]
    found = [(file, move) for move in lines if move.file and (file := locate(move.file))]
    if level == "notice" or not found:
        yield Annotation(level, title, line(row.reason, most=SENTENCES))
        return
    for file, move in found:
        yield Annotation(level, title, _message(move), file, move.line)


def _message(move: Move) -> str:
    advice = f"; {line(move.advice)}" if move.advice else ""
    return "{}: {}".format(*line_in_words(move)) + advice


def _named(cells: list[str]) -> str:
    names = list(dict.fromkeys(cells))
    more = f" and {len(names) - CELLS} cells more" if len(names) > CELLS else ""
    return ", ".join(names[:CELLS]) + more
