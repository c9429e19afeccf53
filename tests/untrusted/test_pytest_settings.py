"""The settings of pytest are taken from the file, and in the order, that pytest itself takes them from."""

from __future__ import annotations

from pathlib import Path

import pytest
from _pytest.config.findpaths import locate_config  # what pytest itself does, and no part of its public interface

from vlbench.errors import UsageError
from vlbench.untrusted.pytest_settings import TABLES, pytest_settings, python_path

TEXTS = {
    ".toml": "[pytest]\ntestpaths = ['{0}', 'more']\n",
    ".ini": "# a % sign\n[pytest]\ntestpaths =\n    {0}\n    more\n",
    "pyproject.toml": "[tool.pytest.ini_options]\ntestpaths = ['{0}', 'more']\n",
    "setup.cfg": "[tool:pytest]\nmarkers = a: 100 %\ntestpaths : {0} more\n",
}
NOTHING = {"pyproject.toml": "[tool.pytest]\n[project]\n", "tox.ini": "[tox]\n", "setup.cfg": "[metadata]\nname = a\n"}


def named(folder: Path) -> list[str]:
    found = pytest_settings(folder)
    assert found is not None
    return found.words("testpaths")


def written(path: Path) -> None:
    path.write_text((TEXTS.get(path.name) or TEXTS[path.suffix]).format(path.name))


@pytest.mark.parametrize("name", TABLES)
def test_the_first_file_that_pytest_would_take_is_taken(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "inside"
    folder.mkdir()
    names = list(TABLES)
    for each in names[names.index(name) :]:
        written(folder / each)
    for each, nothing in NOTHING.items():
        if names.index(each) < names.index(name):
            (folder / each).write_text(nothing)
    written(tmp_path / "pytest.toml")  # farther away than any
    found = pytest_settings(folder)
    assert found is not None
    assert locate_config(folder, [])[1] == found.path == folder / name
    assert found.words("testpaths") == [name, "more"]
    assert found.words("markers" if name != "setup.cfg" else "pythonpath") == []


@pytest.mark.parametrize("name", ["pytest.ini", ".pytest.toml"])
def test_a_file_of_its_own_hides_all_others_though_it_sets_nothing(name: str, tmp_path: Path) -> None:
    written(tmp_path / "setup.cfg")
    (tmp_path / name).touch()
    found = pytest_settings(tmp_path)
    assert found is not None
    assert (found.path.name, found.words("testpaths")) == (name, [])


def test_a_table_of_pytest_itself_holds_settings_as_well(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.pytest]\ntestpaths = ['tests', 'more']\n")
    assert locate_config(tmp_path, [])[1] == tmp_path / "pyproject.toml"
    assert named(tmp_path) == ["tests", "more"]


def test_settings_of_others_are_looked_past(tmp_path: Path) -> None:
    for name, text in NOTHING.items():
        (tmp_path / name).write_text(text)
    assert pytest_settings(tmp_path) is None
    assert python_path(tmp_path) == []


def test_modules_are_found_from_where_the_settings_lie(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "inside"
    folder.mkdir(parents=True)
    (tmp_path / "tox.ini").write_text("[pytest]\npythonpath = lib 'two words' ../beside\n")
    assert python_path(folder) == [tmp_path / "lib", tmp_path / "two words", tmp_path.parent / "beside"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pytest.ini", "testpaths = tests\n"),
        ("tox.ini", "[pytest]\ntestpaths = 'tests\n"),
        ("pyproject.toml", "[tool.pytest\n"),
        ("setup.cfg", "[tool:pytest]\nx = " + "\t" * 2**21),
    ],
)
def test_what_pytest_cannot_read_is_told_and_names_no_folder(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=rf"^\S*{name}.*; mend it, since pytest takes its settings from it"):
        named(tmp_path)
    assert python_path(tmp_path) == []


def test_long_blanks_cost_no_square_of_their_length(tmp_path: Path) -> None:
    (tmp_path / "setup.cfg").write_text("[tool:pytest]\na" + " \t" * 400_000 + "a\n")  # minutes, as the parser has it
    assert named(tmp_path) == []
