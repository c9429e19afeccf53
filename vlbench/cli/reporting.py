"""How the commands that judge say what they found: the options that they share, and what each of them writes.

A command calls `check_goals` before it measures, and ends with `deliver`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from vlbench.cli.options import AsJson
from vlbench.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from vlbench.judging.judged import Judged

__all__ = ["AllowInconclusive", "AsJson", "Csv", "Github", "Junit", "Markdown", "check_goals", "deliver", "show_beside"]

SUMMARY = "GITHUB_STEP_SUMMARY"

AllowInconclusive = Annotated[
    bool, typer.Option("--allow-inconclusive", help="Rows that could not have shown a change pass.")
]
Csv = Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write a line per row, for pandas, here.")]
Markdown = Annotated[
    Path | None, typer.Option("--markdown", metavar="FILE", help="Write a comment for a pull request here.")
]
Junit = Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="Write JUnit XML for a CI server here.")]
Github = Annotated[
    bool, typer.Option("--github", help="In GitHub Actions: annotate lines, and add to the summary of the job.")
]


def check_goals(
    *, csv: Path | None = None, markdown: Path | None = None, junit: Path | None = None, github: bool = False
) -> None:
    """Raise `UsageError` where what was asked for could not be written, before anything is measured."""
    goals = _files(csv, markdown, junit)
    for option, path in goals.items():
        _check(option, path)
        if twin := next((other for other in goals if other != option and _same(goals[other], path)), None):
            raise UsageError(f"{option} and {twin} both name {path}; give each a file of its own")
    if github and (summary := os.environ.get(SUMMARY)):
        _check(f"--github: {SUMMARY}", Path(summary))


def deliver(
    judged: Judged,
    *,
    as_json: bool = False,
    csv: Path | None = None,
    markdown: Path | None = None,
    junit: Path | None = None,
    github: bool = False,
    show: Callable[[], None] | None = None,
) -> NoReturn:
    """Print what was found, write every file that was asked for, and end with the exit code.

    The verdict is printed first, so that it is there even if a disk is full; with `--github` annotations precede it,
    on stderr where stdout is JSON (the runner reads both). `show` prints in place of the usual view. Raises
    `UsageError` for a file that cannot be written.
    """
    from vlbench.export.judged_csv import csv_text
    from vlbench.export.judged_github import github_text, locator
    from vlbench.export.judged_junit import junit_text
    from vlbench.export.judged_markdown import markdown_text

    if github and (said := github_text(judged, locator())):
        print(said, file=sys.stderr if as_json else sys.stdout)
    if show:
        show()
    else:
        _show(judged, as_json)
    writers = {"--csv": csv_text, "--markdown": markdown_text, "--junit": junit_text}
    for option, path in _files(csv, markdown, junit).items():
        _write(option, path, writers[option](judged))
    if github and (summary := os.environ.get(SUMMARY)):
        _summarise(judged, Path(summary))
    raise typer.Exit(int(judged.exit_code))


def show_beside(judged: Judged, console: Console) -> None:
    """What a command that measures says of what it measured beside something else; it ends as it would without."""
    from vlbench.export.judged_console import judged_view

    console.print()
    console.print(judged_view(judged))
    console.print("That is the code of `vlbench diff`; a command that measures ends with its own.", style="dim")


def _files(csv: Path | None, markdown: Path | None, junit: Path | None) -> dict[str, Path]:
    given = {"--csv": csv, "--markdown": markdown, "--junit": junit}
    return {option: path for option, path in given.items() if path is not None}


def _show(judged: Judged, as_json: bool) -> None:
    from rich.console import Console

    from vlbench.export.judged_console import judged_view
    from vlbench.export.judged_json import json_text

    if as_json:
        print(json_text(judged))
    else:
        Console(highlight=False).print(judged_view(judged))


def _summarise(judged: Judged, path: Path) -> None:
    """Append to the summary of the step as much as still fits; a step may judge more than once."""
    from vlbench.export.judged_markdown import STEP_SUMMARY, markdown_text

    there = path.stat().st_size if path.exists() else 0
    if text := markdown_text(judged, STEP_SUMMARY - there - 1):
        _write(f"--github: {SUMMARY}", path, f"{text}\n", append=True)


def _check(option: str, path: Path) -> None:
    if path.is_dir():
        raise UsageError(f"{option} {path}: a folder; give a file")
    if not path.parent.is_dir():
        raise UsageError(f"{option} {path}: the folder {path.parent} does not exist; make it or choose another")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise UsageError(f"{option} {path}: may not be written; change its permissions or choose another")


def _same(one: Path, other: Path) -> bool:
    """Are the two one file, and not a terminal or /dev/null?"""
    return one.resolve() == other.resolve() and (one.is_file() or not one.exists())


def _write(option: str, path: Path, text: str, *, append: bool = False) -> None:
    try:
        with path.open("a" if append else "w", encoding="utf-8", newline="") as file:
            file.write(text)
    except OSError as error:
        raise UsageError(
            f"{option} {path}: cannot be written ({error.strerror}); the verdict is what was printed"
        ) from None
