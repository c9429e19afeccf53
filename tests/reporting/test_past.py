"""Figures over versions in a report: every value is the record's, and each change is marked where it is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import vlbench
from tests.comparing.test_history import counting, timing
from tests.reporting.reading_back import Page
from tests.reporting.test_kinds import sound
from tests.reporting.test_page import EVIL
from tests.reporting.test_values import page_of
from vlbench.api.history import Past
from vlbench.comparing.history import Change, History, Series, Version
from vlbench.record.baseline_files import write_baseline
from vlbench.reporting import drawing

SYNCS = (4, 4, 6, 0)


def history(values: tuple[float | None, ...], *changes: Change, name: str = "v", machine: str = "") -> History:
    """One figure over versions that are named by their places."""
    versions = tuple(Version(f"{name}{at}", "2025-11-03", name) for at in range(len(values)))
    return History(name, versions, (Series(name, name, "s" if machine else "", machine, values, changes),), (name,))


def test_a_line_goes_through_every_value_and_a_bar_stands_where_it_changed() -> None:
    drawn = drawing.history((4.0, 4.0, None, 6.0, 5.0), {3, 4}, ["<a>", "b", "c", "d", "e"])
    dots = [(float(x), float(y)) for x, y in re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', drawn)]
    room = drawing.STRIP - 2 * drawing.EDGE
    assert [4 + 2 * (drawing.STRIP - drawing.EDGE - y) / room for _, y in dots] == pytest.approx([4, 4, 6, 5], abs=0.01)
    assert [x for x, _ in dots] == [6.0, 58.0, 162.0, 214.0]
    assert re.findall(r'class="change" d="M([\d.]+) 0V', drawn) == ["162.00", "214.00"]
    (path,) = re.findall(r'<path d="([^"]*)"', drawn)
    assert [len(part.split("L")) for part in path.split("M")[1:]] == [2, 2], "it is broken where there is no value"
    assert "<title>&lt;a&gt;</title>" in drawn


def test_a_flat_line_is_in_the_middle_and_noise_of_times_does_not_fill_the_height() -> None:
    flat, noise = drawing.history((0, 0), (), "ab"), drawing.history((1.0, 1.001), (), "ab", 0.01)
    (one, other), (low, high) = (list(map(float, re.findall(r'cy="([\d.]+)"', each))) for each in (flat, noise))
    assert one == other == drawing.STRIP / 2
    assert 0 < low - high < 0.5


@pytest.mark.slow(2)
def test_every_value_and_change_is_that_of_the_record(tmp_path: Path) -> None:
    pytest.importorskip("ruptures")
    for at in range(12):
        write_baseline(timing(0.01 + 0.01 * (at > 5)), tmp_path / f"v{at:02}.json")
    made = vlbench.history(tmp_path, progress=False)
    page = sound(page_of(made))
    rows = page.table("history").by_name()
    for series in made.record[0].series:
        if not series.machine:
            continue
        found = rows[series.figure.replace("_", " ")]
        values = {f"in v{at:02}": value for at, value in enumerate(series.values)}
        assert found == values | {"first": series.values[0], "last": series.values[-1], "changes": len(series.changes)}
    told = [row for row in made._rows() if row["changed"]]
    found_changes = [(row[0][0], row[3][1]["before"], row[4][1]["after"]) for row in page.table("changes").rows]
    assert found_changes == [(row["version"], row["before"], row["value"]) for row in told] == [("v06", 0.01, 0.02)]


def test_counts_that_never_changed_are_a_number_and_notes_are_told(tmp_path: Path) -> None:
    for at, syncs in enumerate(SYNCS):
        write_baseline(counting(syncs), tmp_path / f"v{at}.json")
    (run, past) = (vlbench.load(tmp_path / "v0.json"), vlbench.history(tmp_path, progress=False))
    made = vlbench.report([run], tmp_path / "a.html", history=tmp_path, progress=False)
    page = Page((tmp_path / "a.html").read_text())
    assert page.table("history").by_name()["second forward: host syncs"] == {
        **{f"in v{at}": value for at, value in enumerate(SYNCS)}, "first": 4, "last": 0, "changes": 2
    }  # fmt: skip
    assert len(page.table("changes").rows) == 4, "of both forwards"
    still = len(past.record[0].series) - 2
    assert f"{still} of {still + 2} figures are counts that never changed." in made.html()
    text = made.markdown()
    assert "| second forward: host syncs | \u2586\u2586\u2588\u2581 | 4 | 0 | 2 |" in text
    assert "toy:Tower single-image bfloat16 sm&#95;90" in text
    sections = [each for chapter in made.record.as_object()["chapters"] for each in chapter["sections"]]
    rows = [row for each in sections for row in each["rows"]]
    assert any(row.get("in v2") == 6 and row["unit"] == "" for row in rows)


def test_names_of_others_are_text() -> None:
    evil = history((1.0, 2.0), Change(1, 1.0, 2.0, EVIL), name=EVIL, machine=EVIL)
    made = vlbench.report(Past((evil,)), progress=False)
    text = made.html()
    page = Page(text)
    assert (page.elements.count("script"), "<script>alert" in text) == (1, False)
    assert not {"\x1b", "\u202e"} & {*text}
    assert len(page.table("history").rows) == 1
    assert made.markdown().count("<script") == 0
    assert [row[1] for row in page.table("not_measured").rows], "a note is told"


def test_a_comment_is_never_longer_than_github_takes() -> None:
    past = Past(tuple(history((1, 2), Change(1, 1, 2), name=f"cell {at} \N{SNOWMAN}") for at in range(400)))
    text = vlbench.report(past, progress=False).markdown()
    assert 60_000 < len(text.encode()) <= 65_536
    kept = text.count("#### History of")
    assert f"{400 - kept} sections left out here for want of room; --json has all." in text
    assert "#### Not measured" in text
