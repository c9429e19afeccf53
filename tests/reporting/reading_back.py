"""A page read back: its tables with the figures behind each cell, what is drawn, and what a browser would load."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

VOID = ("meta", "link", "br", "circle", "rect", "path")


@dataclass
class Read:
    """One table."""

    name: str
    facts: dict[str, float]
    heads: list[str] = field(default_factory=list)
    rows: list[list[tuple[str, dict[str, Any], str]]] = field(default_factory=list)
    """Of each cell: its text, the figures behind it, and the path of the dots that are drawn in it."""

    def by_name(self) -> dict[str, dict[str, Any]]:
        """All figures of a row, by the text of its first cell."""
        return {row[0][0]: {key: value for _, found, _ in row for key, value in found.items()} for row in self.rows}


class Page(HTMLParser):
    """All of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: list[Read] = []
        self.headings: list[tuple[str, str]] = []
        self.loads: list[str] = []
        self.tiles: list[tuple[str, dict[str, Any]]] = []
        self.scripts = 0
        self._open: list[str] = []
        self._in_cell = False
        self.feed(text)
        self.close()
        assert self._open == [], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.loads += [given[name] for name in ("src", "href", "xlink:href", "action") if name in given]
        self.scripts += tag == "script"
        figures = json.loads(given["data-v"]) if given.get("data-v") else {}
        if tag == "table":
            facts = json.loads(given["data-facts"]) if given.get("data-facts") else {}
            self.tables.append(Read(given["data-name"], facts))
        elif tag == "tr" and "tbody" in self._open:
            self.tables[-1].rows.append([])
        elif tag == "td":
            self.tables[-1].rows[-1].append(("", figures, ""))
        elif tag == "th":
            self.tables[-1].heads.append("")
        elif tag in ("h1", "h2", "h3"):
            self.headings.append((tag, ""))
        elif tag == "b":
            self.tiles.append(("", figures))
        if tag == "path" and given.get("class") == "dots":
            text, figures, _ = self.tables[-1].rows[-1][-1]
            self.tables[-1].rows[-1][-1] = (text, figures, given["d"])
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open.append(tag)
        self.handle_starttag(tag, attrs)
        self._open = self._open[: self._open.index(tag)] if tag not in VOID else self._open[:-1]

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "svg" in self._open or not self._open:
            return
        if "td" in self._open:
            text, figures, drawn = self.tables[-1].rows[-1][-1]
            self.tables[-1].rows[-1][-1] = (text + data, figures, drawn)
        elif "th" in self._open:
            self.tables[-1].heads[-1] += data
        elif self._open[-1] in ("h1", "h2", "h3"):
            self.headings[-1] = (self.headings[-1][0], self.headings[-1][1] + data)
        elif self._open[-1] == "b":
            self.tiles[-1] = (self.tiles[-1][0] + data, self.tiles[-1][1])

    def table(self, name: str) -> Read:
        """The first of this name."""
        return next(each for each in self.tables if each.name == name)


NUMBER = re.compile(r"(?<![\w.])[+-]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?")


def unfounded(text: str, figures: dict[str, Any]) -> list[str]:
    """Numbers in a text that are none of the figures behind it, in any unit, as far as they are written out."""
    known = [float(value) for value in figures.values()]
    known += [1 / value for value in known if value] + [value - 1 for value in known] + [1 - value for value in known]
    found = []
    for written in NUMBER.findall(text):
        plain = written.replace(",", "")
        digits, _, power = plain.partition("e")
        last = 10.0 ** (int(power or 0) - len(digits.partition(".")[2]))
        scales = (1.0, 1e3, 1e2, 1e-6, 1e-3, 1e6, 1e-9)
        if not any(abs(float(plain) - scale * value) <= 0.51 * last for value in known for scale in scales):
            found.append(written)
    return found
