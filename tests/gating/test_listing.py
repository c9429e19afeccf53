"""Marked tests as pytest finds them: by itself, and in files that are named to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from vlbench.errors import UsageError
from vlbench.gating.listing import Listed, marks_in

pytestmark = pytest.mark.slow
MARKED = '@pytest.mark.vlbench(tower="a:b", max_syncs=0)\n'
TEST = "tests/test_marked.py::test_it"
OWN = {"tests/test_marked.py": f"import pytest\n\n{MARKED}def test_it(): pass\n"}
SETTINGS = "[tool.pytest.ini_options]\n{}\n"
HIDDEN = {
    "testpaths": {"pyproject.toml": SETTINGS.format('testpaths = ["more"]'), "more/test_more.py": "def test_more(): 1"},
    "addopts": {"pyproject.toml": SETTINGS.format('addopts = "--ignore=tests/test_marked.py"')},
    "collect_ignore": {"tests/conftest.py": 'collect_ignore = ["test_marked.py"]\n'},
    "a hook": {"conftest.py": "def pytest_ignore_collect(collection_path):\n    return True\n"},
    "a removal": {"conftest.py": "def pytest_collection_modifyitems(items):\n    items.clear()\n"},
}
ELSEWHERE = {
    "a conftest": {
        "tests/conftest.py": "import pytest\n\ndef pytest_collection_modifyitems(items):\n    for each in items:\n"
        '        each.add_marker(pytest.mark.vlbench(tower="a:b", max_syncs=0))\n',
        "tests/test_marked.py": "def test_it(): pass\n",
    },
    "a helper": {
        "tests/helper.py": 'import pytest\n\ngated = pytest.mark.vlbench(tower="a:b", max_syncs=0)\n',
        "tests/test_marked.py": "from helper import gated\n\n@gated\ndef test_it(): pass\n",
    },
    "a base": {
        "tests/bases.py": f"import pytest\n\nclass Base:\n    {MARKED}    def test_it(self): pass\n",
        "tests/test_marked.py": "from bases import Base\n\nclass TestOurs(Base): pass\n",
    },
}


def listed(folder: Path, files: dict[str, str]) -> Listed:
    """Of a folder with these files."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return marks_in(folder, [name for name, text in files.items() if "mark.vlbench" in text])


@pytest.mark.parametrize("way", HIDDEN)
def test_what_pytest_by_itself_does_not_collect_is_not_found(tmp_path: Path, way: str) -> None:
    found = listed(tmp_path, OWN | HIDDEN[way])
    assert found.found == {}
    assert found.named.keys() == (set() if way == "a removal" else {TEST})


@pytest.mark.parametrize("where", ELSEWHERE)
def test_marks_of_other_files_are_found_on_the_tests_that_have_them(tmp_path: Path, where: str) -> None:
    (test,) = listed(tmp_path, ELSEWHERE[where]).found
    assert test == ("tests/test_marked.py::TestOurs::test_it" if where == "a base" else TEST)


def test_other_test_files_are_left_alone_and_options_of_absent_plugins_are_left_out(tmp_path: Path) -> None:
    other = {"tests/test_other.py": "raise AssertionError('imported')\n"}
    found = listed(tmp_path, OWN | other)
    assert (list(found.found), found.fault, found.without_added) == ([TEST], "", False)
    found = listed(tmp_path, OWN | {"pyproject.toml": SETTINGS.format('addopts = "--of-no-plugin -n 2"')})
    assert (list(found.found), found.without_added) == ([TEST], True)


def test_a_file_that_cannot_be_collected_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"the markers in tests/test_marked\.py cannot be read: ModuleNotFoundError"):
        listed(tmp_path, {"tests/test_marked.py": "import nothing_that_there_is  # mark.vlbench\n"})
