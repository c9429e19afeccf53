"""`vlbench.report`: result files as one page that can be opened anywhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from vlbench.api.arguments import File, path_of
from vlbench.api.history import Past, history as past
from vlbench.api.reading import load
from vlbench.api.results import Predictions, Result, Rows
from vlbench.errors import UsageError
from vlbench.export.progress import watcher
from vlbench.record.base import twice_in
from vlbench.record.destinations import check_output
from vlbench.record.files import write_whole
from vlbench.reporting.brief import markdown_text
from vlbench.reporting.building import Loaded, build
from vlbench.reporting.html import html_text
from vlbench.reporting.page import Report

Reportable = File | Result
"""A file, or what a function of `vlbench` gave back."""


@dataclass(frozen=True, repr=False)
class Reported(Result):
    """A report; a row for each thing that was measured, with the answers of the first screen."""

    record: Report
    path: Path | None = None
    """Where the page was written, if it was."""

    @property
    def title(self) -> str:
        """What it is, in one line."""
        return self.record.title

    def html(self) -> str:
        """The page: one file, which loads nothing."""
        return html_text(self.record)

    def markdown(self) -> str:
        """The same facts in short, for a pull request."""
        return markdown_text(self.record)

    def json(self) -> str:
        """What the page is made of, figures by name, in SI units and full precision."""
        return json.dumps(self.record.as_object(), indent=1)

    def _rows(self) -> Rows:
        questions = dict.fromkeys(tile.question for each in self.record.answers for tile in each.tiles)
        return [
            {"where": each.where}
            | dict.fromkeys(questions)
            | {tile.question: tile.answer.shown for tile in each.tiles}
            | {"flags": "+".join(each.flags)}
            for each in self.record.answers
        ]


def report(
    results: Reportable | Sequence[Reportable],
    out: File | None = None,
    *,
    history: File | Sequence[File] | None = None,
    force: bool = False,
    progress: bool | Callable[[str], None] = True,
) -> Reported:
    """A report of one or more `results`: files that `load` reads, or what functions of `vlbench` gave back.

    `history` adds figures over versions: files and folders as `vlbench.history` takes them. `out` is the HTML file to
    write; with `force` it may be there. Each ratio is of one file, and so of one machine.
    Raises UsageError for a file that cannot be read or written, that is there twice, or holds nothing to report.
    """
    given = [results] if isinstance(results, str | PathLike | Result) else list(results)
    if not given and history is None:
        raise UsageError("nothing to report: name a file that vlbench wrote, or files of the past for `history`")
    names = [_name(each, at) for at, each in enumerate(given, 1)]
    if twice := twice_in(names):
        raise UsageError(f"{twice[0]} is named twice; name each file once")
    goal = path_of(out)
    if goal is not None:
        check_output(goal, "--out", force=force)
    loaded = list[Loaded]()
    with watcher(progress) as watch:
        for name, each in zip(names, given, strict=True):
            watch.say(f"reading {name}")
            found = each if isinstance(each, Result) else load(each)
            loaded += [*_records(name, found)]
        if history is not None:
            loaded += _records("", past(history, progress=progress))
        watch.say("building the report")
        made = Reported(build(loaded), goal)
        if goal is not None:
            write_whole(goal, made.html())
    return made


def _records(name: str, found: Result) -> Iterator[Loaded]:
    """What is in a file; of the past of several files one record for each."""
    if isinstance(found, Past):
        yield from ((f"history of {each.source}", each) for each in found.record)
    else:
        held = found.checked if isinstance(found, Predictions) else None
        yield name, held or vars(found)["record"]


def _name(given: Reportable, place: int) -> str:
    if not isinstance(given, Result):
        return str(given)
    path = getattr(given, "path", None)
    return str(path) if path else f"result {place}"
