"""Every command and option as the help has them, on the real program."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from tests.cli.conftest import Vlbench
from vlbench.cli import app, repeat_options
from vlbench.cli.options import PANEL, PANELS
from vlbench.version import __version__


def commands(command: Any, *names: str) -> Iterator[tuple[str, Any]]:
    """Every command of the program with its name, those of groups among them."""
    yield " ".join(names), command
    for name, each in getattr(command, "commands", {}).items():
        yield from commands(each, *names, name)


ROOT = typer.main.get_command(app)
ALL = dict(commands(ROOT))
GROUPS = ("", "nsys", "baseline", "case")
"""They do nothing themselves."""
ALONE = ("help", "version", "install_completion", "show_completion")


def test_all_commands_are_walked() -> None:
    assert {"run", "gate", "gate init", "nsys capture", "baseline save", "self-test"} <= ALL.keys()
    assert len(ALL) > 25


@pytest.mark.parametrize("name", ALL)
def test_every_option_has_a_help_a_box_and_no_type_of_python(name: str) -> None:
    for option in ALL[name].params:
        if option.name in ALONE or getattr(option, "hidden", False):
            continue
        assert option.help, f"vlbench {name}: {option.name} has no help"
        if option.param_type_name == "option" and name != "explain":
            assert option.rich_help_panel in PANELS, f"vlbench {name}: {option.name} stands in no box"
            assert not re.match(r"<(list|path|str)\b", option.display_type_rich(typer.Context(ALL[name])))


def test_no_option_stands_in_a_box_that_has_none() -> None:
    known = {option.name for command in ALL.values() for option in command.params}
    assert {each for each in PANEL if each not in known} == set()


@pytest.mark.parametrize("name", [name for name in ALL if name not in GROUPS])
def test_every_command_has_examples_that_parse(name: str) -> None:
    command = ALL[name]
    found = re.findall(r"^- `vlbench (.*)`$", command.help, re.MULTILINE)
    assert found, f"vlbench {name} has no example"
    for example in found:
        words = repeat_options(shlex.split(example))
        wanted = name.split()
        assert words[: len(wanted)] == wanted
        command.make_context(name, words[len(wanted) :])


@pytest.mark.parametrize("arguments", [["-h"], ["run", "-h"], ["gate", "init", "-h"], ["nsys", "report", "-h"]])
def test_h_is_help(vlbench: Vlbench, arguments: list[str]) -> None:
    ended = vlbench(*arguments)
    assert ended.code == 0
    assert "Usage:" in ended.out


def test_the_help_of_a_long_command_is_in_boxes(vlbench: Vlbench) -> None:
    out = vlbench("run", "--help").out
    assert all(f"\N{BOX DRAWINGS LIGHT HORIZONTAL} {panel} " in out for panel in PANELS if panel != "What passes")
    assert max(map(len, out.splitlines())) <= 80


def test_the_version(vlbench: Vlbench) -> None:
    ended = vlbench("--version")
    assert (ended.code, ended.out) == (0, f"vlbench {__version__}\n")


@pytest.mark.parametrize("command", ["predict", "count", "calibrate", "judge"])
def test_the_usage_names_nothing_that_is_only_refused(vlbench: Vlbench, command: str) -> None:
    out = vlbench(command, "--help").out
    assert f"vlbench {command} [OPTIONS]" in out
    assert "stray" not in out
    assert "What is measured" not in out
