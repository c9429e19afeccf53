"""What the pages of the documentation print: commands, the output beneath them, files, and links."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PAGES = tuple(str(path.relative_to(ROOT)) for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))))
PROGRAMS = ("vlbench", "python", "pytest", "make", "git", "pip", "mkdir", "cd")
LISTED: dict[str, dict[str, Any]] = tomllib.loads(Path(__file__).with_name("pages.toml").read_text())
"""Every command, and what is otherwise where it is run."""
VARIES = re.compile(r"\d+(\.\d+)? ?s\b|, \d+ MB in all")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, where it begins, and what is in it."""

    language: str
    line: int
    text: str

    @property
    def file(self) -> str:
        """The name of the file that it shows, which its first line says: `# my_tower.py`."""
        named = re.match(r"# ([\w./-]+\.(?:py|toml))\n", self.text)
        return named[1] if named else ""


@dataclass(frozen=True)
class Command:
    """A command in a fenced block, and the lines that the page shows beneath it."""

    page: str
    line: int
    text: str
    shown: tuple[str, ...] = ()


def blocks(page: str) -> Iterator[Block]:
    """Every fenced block of a page."""
    text = (ROOT / page).read_text()
    for found in re.finditer(r"^( *)```(\w*)\n(.*?)^\1```$", text, re.MULTILINE | re.DOTALL):
        inside = "".join(line.removeprefix(found[1]) for line in found[3].splitlines(keepends=True))
        yield Block(found[2], text[: found.start()].count("\n") + 1, inside)


def commands(page: str) -> Iterator[Command]:
    """Every command of a page's blocks: lines after `$`, or every line of a block that has none and no language."""
    for block in blocks(page):
        lines = list(enumerate(block.text.splitlines(), block.line + 1))
        if block.language == "console" or any(line.startswith("$ ") for _, line in lines):
            starts = [at for at, (_, line) in enumerate(lines) if line.startswith("$ ")]
            for start, end in zip(starts, [*starts, len(lines)][1:], strict=True):
                shown = tuple(line for _, line in lines[start + 1 : end])
                yield Command(page, lines[start][0], lines[start][1].removeprefix("$ "), shown)
        elif not block.language:
            for number, line in filter(lambda each: each[1].strip(), lines):
                yield Command(page, number, re.sub(r"\s+# .*", "", line))


def mentions(page: str) -> Iterator[str]:
    """Commands that a sentence or a table names."""
    text = re.sub(r"^( *)```.*?^\1```$", "", (ROOT / page).read_text(), flags=re.MULTILINE | re.DOTALL)
    spans = re.findall(r"`([^`]+)`", text)
    return (span for span in (" ".join(each.split()) for each in spans) if span.split()[0] in PROGRAMS)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: str) -> Iterator[tuple[str, str]]:
    """Where each link of a page within the repository leads: a path beside the page, and an anchor."""
    for target in re.findall(r"\]\(([^)\s]+)\)", (ROOT / page).read_text()):
        if not re.match(r"[a-z]+:", target):
            path, _, anchor = target.partition("#")
            yield path, anchor


def not_printed(shown: Iterable[str], printed: str) -> list[str]:
    """The lines that a page shows and a command did not print, but for what differs from run to run."""
    lines = {VARIES.sub("", line).strip() for line in printed.splitlines()}
    return [line for line in (VARIES.sub("", each).strip() for each in shown) if line not in {"", "...", *lines}]
