"""How commands say what they found: each returns a sheet, and one decorator gives it the option of every format.

What cannot be written is refused before the command starts. The tables are printed first, so that they are there even
if a disk is full.
"""

import os
import sys
from collections.abc import Callable, Collection, Mapping
from contextlib import nullcontext
from dataclasses import replace
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from shutil import get_terminal_size
from textwrap import fill
from typing import Annotated, Any, NoReturn

import typer

from vlbench.api.arguments import check_numbers
from vlbench.api.known import as_known
from vlbench.cli.options import WRITTEN, CommandOptions, check_files, parameters_of, refuse_what_nothing_reads
from vlbench.errors import UsageError
from vlbench.export.formats import exporters
from vlbench.export.registry import Exporter, Goal, text_of
from vlbench.export.sheet import Sheet
from vlbench.record.destinations import check_output, forget_claims, open_output
from vlbench.untrusted.names import terminal

SUMMARY = "GITHUB_STEP_SUMMARY"
Command = Callable[..., Sheet | None]
PREFIX = "export_"
"""Of the parameters that are added, so that a command may have one of the same name."""


def reports(*, judges: bool = True, formats: Collection[str] = ()) -> Callable[[Command], Callable[..., None]]:
    """A command with the option of every format: what it returns is printed and written, and ends with its exit code.

    A parameter `options` stands for the fields of its type. With `formats` there are no other formats. A command that
    judges nothing refuses formats that tell verdicts alone. One that returns None has said all.
    """

    def decorate(command: Command) -> Callable[..., None]:
        own = dict(signature(command, eval_str=True).parameters)
        options = own.pop("options").annotation if "options" in own else CommandOptions
        taken = parameters_of(options)
        known = [each for each in exporters().values() if not formats or each.name in formats]
        added = {each.name: _parameter(each, judges) for each in known}
        to_files = any(each.goal is Goal.FILE for each in known)
        forced = _force() if to_files and "force" not in {each.name for each in taken} else None

        @wraps(command)
        def report(**given: Any) -> None:
            goals = {name: goal for name, option in added.items() if (goal := given.pop(option.name, None))}
            force = given.pop(forced.name, False) if forced else given.get("force", False)
            check_goals(goals, judges=judges, force=force, resume=given.get("resume", False))
            if taken:
                found = options(**{each.name: given.pop(each.name) for each in taken})
                check_numbers({name: value for name, value in vars(found).items() if value is not None}, "--")
                refuse_what_nothing_reads(found)
                check_files(found)
                own = vars(found)
                if found.WRITES and own["out"] and not own.get("over"):  # which writes to a folder
                    check_output(own["out"], "--out", force=own["force"])
                given["options"] = replace(found, **as_known(vars(found)))
            try:
                if (sheet := command(**given)) is not None:
                    deliver(sheet, goals)
            finally:
                forget_claims()

        first = [each.replace(kind=Parameter.KEYWORD_ONLY) for each in own.values()]
        parameters = [*first, *taken, *added.values(), *filter(None, [forced])]
        report.__signature__ = Signature(parameters, return_annotation=None)  # type: ignore[attr-defined]
        report.__annotations__ = {each.name: each.annotation for each in parameters}
        return report

    return decorate


def check_goals(
    goals: Mapping[str, Path | bool], *, judges: bool = True, force: bool = False, resume: bool = False
) -> None:
    """Raise `UsageError` where what was asked for could not be written, or holds nothing, before anything is measured.

    `goals` has the file of each format by its name, and True for one that is printed.
    """
    forget_claims()
    known = exporters()
    for name in goals:
        known[name].check()
        if known[name].verdicts and not judges:
            raise UsageError(
                f"--{name} tells verdicts, and this command judges nothing; take --csv or another format of --help"
            )
    files = {f"--{name}": goal for name, goal in goals.items() if isinstance(goal, Path)}
    for option, path in files.items():
        try:
            check_output(path, option, force=force)
        except UsageError as error:
            if resume and path.is_file():  # written by the part of the run that is gone on with
                raise UsageError(f"{error}; with --force --resume goes on all the same") from None
            raise
    if "github" in goals and (summary := os.environ.get(SUMMARY)):
        check_output(Path(summary), f"--github: {SUMMARY}", force=True)


def deliver(sheet: Sheet, goals: Mapping[str, Path | bool]) -> NoReturn:
    """Print what was found, write every file that was asked for, and end with the exit code.

    With `--github` annotations precede the tables, on stderr where stdout is JSON (the runner reads both). Raises
    `UsageError` for a file that cannot be written.
    """
    wanted = [(each, goals[each.name]) for each in exporters().values() if each.name in goals]
    whole = [each for each, _ in wanted if each.goal is Goal.STDOUT]
    for each, _ in wanted:
        if each.goal is Goal.ASIDE and (said := text_of(sheet, each)):
            print(said, file=sys.stderr if whole else sys.stdout)
    for each in whole:
        print(text_of(sheet, each))
    if not whole:
        from vlbench.export.console import view_of
        from vlbench.untrusted.console import SafeConsole

        console = SafeConsole()
        with nullcontext() if console.is_terminal else console.capture() as captured:
            console.print(view_of(sheet), crop=False)
        if captured:  # what fills a line on a terminal is blanks in a pipe
            print("\n".join(line.rstrip() for line in captured.get().split("\n")), end="")
    for each, goal in wanted:
        if isinstance(goal, Path):
            _write(f"--{each.name}", goal, text_of(sheet, each))
            if told := each.left_out(sheet):
                print(terminal(f"--{each.name}: {told}"), file=sys.stderr)
    if "github" in goals and (summary := os.environ.get(SUMMARY)):
        _summarise(sheet, Path(summary))
    if sheet.last:
        say_aside(sheet.last)
    raise typer.Exit(sheet.exit_code)


def say_aside(text: str) -> None:
    """Print to stderr; on a terminal lines end between words."""
    lines = terminal(text).split("\n")
    if sys.stderr and sys.stderr.isatty():
        width = get_terminal_size().columns
        lines = [fill(each, width, break_long_words=False, break_on_hyphens=False) for each in lines]
    print("\n".join(lines), file=sys.stderr)


def _parameter(each: Exporter, judges: bool) -> Parameter:
    to_file = each.goal is Goal.FILE
    metavar, hidden = "FILE" if to_file else None, each.verdicts and not judges
    option = typer.Option(f"--{each.name}", metavar=metavar, help=each.help, hidden=hidden, rich_help_panel=WRITTEN)
    annotation = Annotated[Path | None if to_file else bool, option]  # type: ignore[valid-type]
    name, default = PREFIX + each.name.replace("-", "_"), None if to_file else False
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _force() -> Parameter:
    told = "Files that are written may replace what is there."
    annotation = Annotated[bool, typer.Option("--force", help=told, rich_help_panel=WRITTEN)]
    return Parameter(PREFIX + "force", Parameter.KEYWORD_ONLY, default=False, annotation=annotation)


def _summarise(sheet: Sheet, path: Path) -> None:
    """Append to the summary of the step as much as still fits; a step may judge more than once."""
    from vlbench.export.formats import markdown

    there = path.stat().st_size if path.exists() else 0
    if text := markdown.markdown_text(sheet, markdown.STEP_SUMMARY - there - 1):
        _write(f"--github: {SUMMARY}", path, f"{text}\n", append=True)


def _write(option: str, path: Path, text: str | bytes, *, append: bool = False) -> None:
    try:
        with open_output(path, f"{option} {path}", append=append) as file:
            file.buffer.write(text.encode() if isinstance(text, str) else text)
    except OSError as error:
        raise UsageError(
            f"{option} {path}: cannot be written ({error.strerror}); the verdict is what was printed"
        ) from None
