"""The formats that results can be had in: each is one file in `vlbench/export/formats/` that decorates one function."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from typing import TypeVar

from vlbench.errors import UsageError
from vlbench.export.sheet import Sheet

Render = TypeVar("Render", bound=Callable[..., str | bytes])
"""Takes a sheet."""


def nothing(sheet: Sheet) -> str:
    """Of a format that holds all of a sheet."""
    return ""


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
    render: Callable[[Sheet], str | bytes]
    goal: Goal
    comparison: str
    """What it holds of a comparison, for the documentation."""
    tables: str
    """What it holds of tables."""
    verdicts: bool
    """It tells verdicts alone, so a command that judges nothing refuses it."""
    clean: Callable[[str], str]
    """What its text goes through at last, also where a command has a text of its own."""
    left_out: Callable[[Sheet], str]
    """What a sheet has and this format does not hold, in words for stderr; "" where it holds all."""
    package: str
    """What it is written with, of an extra of its own name; "" where nothing more is needed."""

    @property
    def option(self) -> str:
        """As it is written on a command line."""
        return f"--{self.name}{' FILE' if self.goal is Goal.FILE else ''}"

    def check(self) -> None:
        """Raises UsageError where its package is missing."""
        if self.package and find_spec(self.package) is None:
            raise UsageError(
                f"--{self.name}: needs {self.package}, which is not installed: pip install 'vlbench[{self.name}]'"
            )


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
    left_out: Callable[[Sheet], str] = nothing,
    package: str = "",
) -> Callable[[Render], Render]:
    """Make the function below the format `name`."""

    def register(render: Render) -> Render:
        EXPORTERS[name] = Exporter(name, help, render, goal, comparison, tables, verdicts, clean, left_out, package)
        return render

    return register


def text_of(sheet: Sheet, each: Exporter) -> str | bytes:
    """The sheet in this format."""
    own = sheet.own.get(each.name)
    found = own() if own else each.render(sheet)
    return each.clean(found) if isinstance(found, str) else found
