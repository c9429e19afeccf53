"""A page read back: its tables with the figures behind each cell, what is drawn, and what a browser would load."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import permutations
from typing import Any

ENDLESS = ("meta", "link", "br")
"""Elements that have no end."""
HEADINGS = ("h1", "h2", "h3")


@dataclass
class Read:
    """One table."""

    name: str
    chapter: str
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
        self.elements: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == [], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        given = {name: value or "" for name, value in attrs}
        self.loads += [given[name] for name in ("src", "href", "xlink:href", "action") if name in given]
        self.elements.append(tag)
        figures = json.loads(given["data-v"]) if given.get("data-v") else {}
        if tag == "table":
            facts = json.loads(given["data-facts"]) if given.get("data-facts") else {}
            chapter = next(text for level, text in reversed(self.headings) if level == "h2")
            self.tables.append(Read(given["data-name"], chapter, facts))
        elif tag == "tr" and "tbody" in self._open:
            self.tables[-1].rows.append([])
        elif tag == "td":
            self.tables[-1].rows[-1].append(("", figures, ""))
        elif tag == "th":
            self.tables[-1].heads.append("")
        elif tag in HEADINGS:
            self.headings.append((tag, ""))
        elif tag == "b":
            self.tiles.append(("", figures))
        elif tag == "path" and given.get("class") == "dots":
            text, known, _ = self.tables[-1].rows[-1][-1]
            self.tables[-1].rows[-1][-1] = (text, known, given["d"])
        if tag not in ENDLESS:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """An element ends."""
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Text inside of the elements that are open."""
        if "svg" in self._open or not self._open:
            return
        if "td" in self._open:
            text, figures, drawn = self.tables[-1].rows[-1][-1]
            self.tables[-1].rows[-1][-1] = (text + data, figures, drawn)
        elif "th" in self._open:
            self.tables[-1].heads[-1] += data
        elif self._open[-1] in HEADINGS:
            self.headings[-1] = (self.headings[-1][0], self.headings[-1][1] + data)
        elif self._open[-1] == "b":
            self.tiles[-1] = (self.tiles[-1][0] + data, self.tiles[-1][1])

    def table(self, name: str, chapter: str = "") -> Read:
        """The first of this name, in this chapter or in any."""
        return next(each for each in self.tables if each.name == name and chapter in ("", each.chapter))


NUMBER = re.compile(r"(?<![\w.])[+-]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?")
SCALES = (1.0, 1e2, 1e3, 1e6, 1e9, 1e-3, 1e-6, 1e-9)


def unfounded(text: str, figures: dict[str, Any]) -> list[str]:
    """Numbers in a text that are none of the figures behind it, in any unit, as far as they are written out.

    A change is a ratio less 1, a speed-up its inverse, and what stands behind "±" a difference of two of them.
    """
    known = [float(value) for value in figures.values()]
    known += [1 / value for value in known if value] + [a - b for a, b in permutations(known, 2)]
    known += [value - 1 for value in known]
    found = []
    for written in NUMBER.findall(text):
        digits, _, power = written.replace(",", "").partition("e")
        value, last = float(written.replace(",", "")), 10.0 ** (int(power or 0) - len(digits.partition(".")[2]))
        if (
            "." not in digits and len(digits) > 3 and not digits[3:].strip("0")
        ):  # three digits, as of a prediction: 3,450
            last = 10.0 ** (len(digits) - 3)
        if not any(abs(value - scale * one) <= 0.51 * last for one in known for scale in SCALES):
            found.append(written)
    return found
