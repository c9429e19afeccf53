"""The formats that results can be had in: each is one file in `vlbench/export/formats/` that decorates one function."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from vlbench.export.sheet import Sheet

Render = TypeVar("Render", bound=Callable[..., str])
"""Takes a sheet."""


class Goal(StrEnum):
    """Where the text of a format goes."""

    FILE = "a file"
    STDOUT = "stdout, in place of the tables"
    ASIDE = "stdout, before the tables"


@dataclass(frozen=True)
class Exporter:
    """A format: its option, what it writes, and the function that makes its text."""

    name: str
    """The option is `--NAME`."""
    help: str
    """Of the option, one sentence."""
    render: Callable[[Sheet], str]
    goal: Goal
    comparison: str
    """What it holds of a comparison, for the documentation."""
    tables: str
    """What it holds of tables."""
    verdicts: bool
    """It tells verdicts alone, so a command that judges nothing refuses it."""
    clean: Callable[[str], str]
    """What its text goes through at last, also where a command has a text of its own."""

    @property
    def option(self) -> str:
        """As it is written on a command line."""
        return f"--{self.name}{' FILE' if self.goal is Goal.FILE else ''}"


EXPORTERS: dict[str, Exporter] = {}
"""Those whose files were imported; `vlbench.export.formats.exporters` has all."""


def exporter(
    name: str,
    help: str,
    *,
    comparison: str,
    tables: str,
    goal: Goal = Goal.FILE,
    verdicts: bool = False,
    clean: Callable[[str], str] = str,
) -> Callable[[Render], Render]:
    """Make the function below the format `name`."""

    def register(render: Render) -> Render:
        EXPORTERS[name] = Exporter(name, help, render, goal, comparison, tables, verdicts, clean)
        return render

    return register


def text_of(sheet: Sheet, each: Exporter) -> str:
    """The sheet in this format."""
    own = sheet.own.get(each.name)
    return each.clean(own() if own else each.render(sheet))
