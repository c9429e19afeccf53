from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Vlbench
from tests.trial.plans import python_path
from vlbench.cli import repeat_options

HEAVY = ("torch", "pandas", "numpy", "scipy", "pydantic", "transformers", "PIL", "rich.console")


def loaded_by(program: str) -> set[str]:
    """Which heavy modules a fresh process has loaded after `program`."""
    return set(eval(reported(program)[-1]))


def reported(program: str) -> list[str]:
    """The lines that a fresh process prints; the last is the list of heavy modules that it has loaded."""
    report = f"import atexit, sys; atexit.register(lambda: print([m for m in {HEAVY!r} if m in sys.modules]))\n"
    done = subprocess.run(
        [sys.executable, "-c", report + program],
        env=os.environ | {"PYTHONPATH": python_path()},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def test_help_and_lists_load_nothing_heavy() -> None:
    program = "import sys\nfrom vlbench.cli import main\n"
    for asked in ("--help", "run --help", "gate --help", "list models"):
        program += f"sys.argv = ['vlbench', *{asked.split()!r}]\ntry: main()\n"
        program += f"except SystemExit as end: assert end.code == 0, {asked!r}\nelse: raise AssertionError({asked!r})\n"
    assert loaded_by(program) <= {"rich.console", "pydantic"}  # Typer's own, to draw the help and to parse options


def test_importing_the_package_and_the_command_line_loads_nothing_heavy() -> None:
    assert loaded_by("import vlbench.cli; vlbench.__version__") == set()


@pytest.mark.parametrize(
    ("given", "meant"), [("replay", "run --scenario FILE.jsonl"), ("compare", "vlbench diff"), ("bench", "vlbench run")]
)
def test_what_is_no_command_names_the_one_that_is_meant(vlbench: Vlbench, given: str, meant: str) -> None:
    told = vlbench(given, "some.file").sentence
    assert told.startswith(f"vlbench {given}: no such command; `")
    assert meant in told


def test_a_current_folder_that_was_deleted_is_told(vlbench: Vlbench, folder: Path) -> None:
    gone = folder / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    assert vlbench("gate").sentence == "the current folder is no longer there; change to another"
    os.chdir(folder)


def test_help_names_every_command(vlbench: Vlbench) -> None:
    ended = vlbench("--help")
    assert ended.code == 0
    assert all(command in ended.out for command in ("run", "verify", "show", "judge", "list", "explain", "gate"))


def test_options_that_take_several_values_take_all_that_follow() -> None:
    assert repeat_options(["run", "--images", "a", "b", "c", "--seed", "1", "x"]) == [
        *("run", "--images", "a", "--images", "b", "--images", "c", "--seed", "1", "x")
    ]
    assert repeat_options(["judge", "--before", "a", "--before", "b", "--after", "c", "d"]) == [
        *("judge", "--before", "a", "--before", "b", "--after", "c", "--after", "d")
    ]
    assert repeat_options(["run", "--plan", "p", "--shard", "1/2"]) == ["run", "--plan-file", "p", "--shard", "1/2"]
    assert repeat_options(["run", "--plan", "--seed", "1"]) == ["run", "--plan", "--seed", "1"]
    assert repeat_options(["count", "--plan", "x"]) == ["count", "--plan", "x"]
    assert repeat_options(["--images=a", "b"]) == ["--images=a", "b"]
    assert repeat_options([]) == []


def test_an_unknown_attribute_of_the_package_is_an_attribute_error() -> None:
    import vlbench

    with pytest.raises(AttributeError, match="has no attribute 'lode'"):
        vlbench.lode  # noqa: B018


@pytest.mark.parametrize("python", [[], ["-u"]], ids=["at the end", "at once"])
def test_a_reader_that_closes_the_pipe_ends_it_quietly_as_sigpipe_does(python: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as closed:
        command = [sys.executable, *python, "-m", "vlbench", "--version"]
        ended = subprocess.run(command, stdout=closed, stderr=subprocess.PIPE, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (141, "")
