"""README.md and docs/*.md: what they name is there, links lead somewhere, and each command is run or listed."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from tests.cli.pages import LISTED, PAGES, ROOT, anchors, blocks, commands, links, mentions
from vlbench.cli import app
from vlbench.export.formats import exporters

LONGEST = 200
"""Lines of the README."""
PROGRAM = typer.main.get_command(app)


def unknown(command: str) -> str:
    """What of a command is not there: a subcommand or an option of ours, a module, a target of make."""
    match shlex.split(command):
        case ["make", *targets]:
            return " ".join(each for each in targets if f"\n{each}:" not in (ROOT / "Makefile").read_text())
        case ["python", "-m", module, *_]:
            return "" if find_spec(module) else module
        case ["vlbench", *words]:
            return _unknown_to(PROGRAM, words)
    return ""


def _unknown_to(node: Any, words: list[str]) -> str:
    known = {"--help", *(name for each in node.params for name in (*each.opts, *each.secondary_opts))}
    for number, word in enumerate(words):
        if word in ("--", "COMMAND"):  # what follows is another program's
            return ""
        if isinstance(node, TyperGroup) and (inner := node.commands.get(word)):
            return _unknown_to(inner, words[number + 1 :])
        if word.startswith("-") and word not in known:
            return word
        if isinstance(node, TyperGroup) and not word.startswith("-") and not node.invoke_without_command:
            return word
    return ""


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_names_is_there(page: str) -> None:
    named = [*(each.text for each in commands(page)), *mentions(page)]
    assert {command: what for command in named if (what := unknown(command))} == {}


def test_every_command_is_run_or_listed_with_its_reason() -> None:
    """pages.toml says how; test_page_commands.py does it."""
    printed = {each.text for page in PAGES for each in commands(page)}
    assert printed == LISTED.keys()
    assert [how["by"] for how in LISTED.values() if "by" in how and not (ROOT / how["by"]).is_file()] == []


@pytest.mark.parametrize("page", PAGES)
def test_what_is_said_beside_commands_stands_in_a_column(page: str) -> None:
    """Behind a command that is longer than the others, after two blanks."""
    for block in (each for each in blocks(page) if not each.language):
        told = [found for line in block.text.splitlines() if (found := re.fullmatch(r"(\S.*?) +(# .*)", line))]
        column = min((found.start(2) for found in told), default=0)
        assert [found[0] for found in told if found.start(2) != max(column, len(found[1]) + 2)] == []


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


def test_what_the_readme_says_of_classic_is_what_the_table_has() -> None:
    """test_page_commands.py holds the table of docs/counting.md to what `vlbench count` prints."""
    (command,) = (each for each in commands("docs/counting.md") if each.text == "vlbench count")
    rows = {line.split()[0]: line.split()[1:5:3] for line in command.shown if line[:1].isalpha()}  # operations, waits
    claimed = re.search(
        r"`classic` asks for ([\d,]+) operations and ([\d,]+) waits, the reference tower for ([\d,]+) operations and"
        r" ([\d,]+) waits",
        " ".join((ROOT / "README.md").read_text().split()),
    )
    assert claimed is not None
    assert [*claimed.groups()] == [*rows["classic"], *rows["baseline"]]
    stored = json.loads((ROOT / "results/baselines/qwen2.5-vl-7b.json").read_text())["counted"]
    (counters,) = (cell["warm"]["counters"] for cell in stored if cell["tower"] == "qwen2.5-vl-7b")
    assert rows["baseline"] == [f"{counters[name]:,}" for name in ("device_operations", "host_syncs")]


def options_by_command(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, set[str]]]:
    """Every command with the names of its options."""
    if inside := getattr(command, "commands", None):
        for name, each in inside.items():
            yield from options_by_command(each, (*path, name))
    else:
        yield " ".join(path), {option for each in command.params for option in each.opts}


def test_what_pages_say_of_formats_holds_for_every_command() -> None:
    known = dict(options_by_command(PROGRAM))
    formats = {exporter.option.split()[0] for exporter in exporters().values()}
    assert "Every command takes `--json`" in (ROOT / "docs/commands.md").read_text()
    assert [name for name, options in known.items() if "--json" not in options] == []
    alone = {name for name, options in known.items() if not formats <= options}
    writes = {f"baseline {name}" for name in ("save", "accept", "remove", "complete", "rebase", "migrate")}
    assert alone == {"explain", "gate init", "mcp", "plan", "report"} | writes
