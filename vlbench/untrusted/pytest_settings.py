"""The settings of pytest, from the file that it would take them from. Nothing is run, and it need not be here."""

import os
import re
import shlex
from configparser import Error, RawConfigParser
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlbench.errors import UsageError, in_one_line
from vlbench.untrusted.files import Kind, NotThisFormatError, read_text, read_toml
from vlbench.untrusted.limits import Limit

SETTINGS = Kind(
    "mend it, since pytest takes its settings from it",
    Limit.SETTINGS,
    broken="{path}: not as pytest reads it ({why}); {remedy}",
)
OWN = ("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini")
"""Taken even where they set nothing."""
TABLES = {**dict.fromkeys(OWN, "pytest"), "pyproject.toml": "tool", "tox.ini": "pytest", "setup.cfg": "tool:pytest"}
"""The files of a folder in which pytest looks, the first first, and the table of each. All others are then not read."""


@dataclass(frozen=True)
class PytestSettings:
    """The settings of one file."""

    path: Path
    table: dict[str, Any]

    def words(self, name: str) -> list[str]:
        """What a setting lists. Raises UsageError for a text that cannot be parted into words."""
        value = self.table.get(name)
        if not isinstance(value, str):
            return list(map(str, value)) if isinstance(value, list) else []
        try:
            return shlex.split(value)
        except ValueError as error:
            raise UsageError(SETTINGS.say(SETTINGS.broken, self.path, f"{name}: {error}")) from None


def pytest_settings(folder: Path) -> PytestSettings | None:
    """Those that hold in a folder: of it, or else of the nearest one around it that has any. Raises UsageError."""
    for path in (each / name for each in (folder, *folder.parents) for name in TABLES):
        if path.is_file() and (table := _table(path)) is not None:
            return PytestSettings(path, table)
    return None


def python_path(folder: Path) -> list[Path]:
    """Where pytest finds modules beside what is installed; nowhere where its settings are broken, as it says itself."""
    try:
        found = pytest_settings(folder)
        return [Path(os.path.normpath(found.path.parent / each)) for each in found.words("pythonpath")] if found else []
    except UsageError:
        return []


def _table(path: Path) -> dict[str, Any] | None:
    """The settings of a file; None where pytest looks on."""
    document = read_toml(path, SETTINGS) if path.suffix == ".toml" else _ini(path)
    found = document.get(TABLES[path.name])
    if path.name == "pyproject.toml":
        tool = found.get("pytest") if isinstance(found, dict) else None
        found = tool.get("ini_options", tool or None) if isinstance(tool, dict) else None
    return found if isinstance(found, dict) else {} if path.name in OWN else None


def _ini(path: Path) -> dict[str, Any]:
    text = re.sub(r"[^\S\n]+", " ", read_text(path, SETTINGS))  # over long blanks the parser takes their square
    parser = RawConfigParser(strict=False, allow_no_value=True, default_section="")
    try:
        parser.read_string(text)
    except Error as error:
        raise NotThisFormatError(SETTINGS.say(SETTINGS.broken, path, in_one_line(error))) from None
    return {name: dict(parser[name]) for name in parser.sections()}
