"""README.md and docs/*.md: what they name is there, and links lead somewhere. test_page_commands.py runs their commands."""

from __future__ import annotations

import shlex
from importlib.util import find_spec
from pathlib import Path

import click
import pytest
import typer

from tests.cli.pages import OTHERWISE, PAGES, ROOT, anchors, commands, links, mentions
from vlbench.cli import app

LONGEST = 200
"""Lines of the README."""


def unknown(command: str) -> str:
    """What of a command is not there: a subcommand or an option of ours, a module, a target of make."""
    match shlex.split(command):
        case ["make", *targets]:
            return " ".join(each for each in targets if f"\n{each}:" not in (ROOT / "Makefile").read_text())
        case ["python", "-m", module, *_]:
            return "" if find_spec(module) else module
        case ["vlbench", *words]:
            return _unknown_to(typer.main.get_command(app), words)
    return ""


def _unknown_to(node: click.Command, words: list[str]) -> str:
    known = {"--help", *(name for each in node.params for name in (*each.opts, *each.secondary_opts))}
    for number, word in enumerate(words):
        if word in ("--", "COMMAND"):  # what follows is another program's
            return ""
        if isinstance(node, click.Group) and (inner := node.commands.get(word)):
            return _unknown_to(inner, words[number + 1 :])
        if word.startswith("-") and word not in known:
            return word
        if isinstance(node, click.Group) and not word.startswith("-") and not node.invoke_without_command:
            return word
    return ""


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_names_is_there(page: str) -> None:
    named = [*(each.text for each in commands(page)), *mentions(page)]
    assert {command: what for command in named if (what := unknown(command))} == {}


def test_nothing_is_listed_that_no_page_prints() -> None:
    printed = {each.text for page in PAGES for each in commands(page)}
    assert OTHERWISE.keys() - printed == set()
    assert [how["by"] for how in OTHERWISE.values() if "by" in how and not (ROOT / how["by"]).is_file()] == []


@pytest.mark.parametrize("page", [*PAGES, "CONTRIBUTING.md", "CHANGELOG.md"])
def test_every_link_leads_somewhere(page: str) -> None:
    for path, anchor in links(page):
        goal = (ROOT / page).parent / path if path else ROOT / page
        assert goal.exists(), f"{page}: {path}"
        assert not anchor or anchor in anchors(goal), f"{page}: {path}#{anchor}"


def test_every_page_is_in_the_index() -> None:
    listed = {path for path, _ in links("docs/README.md")}
    assert {Path(page).name for page in PAGES if page.startswith("docs/")} - {"README.md"} - listed == set()


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= LONGEST
