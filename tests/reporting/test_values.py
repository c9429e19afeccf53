"""Every number of a page is read back from its HTML and held against the records that it was made of."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import vlbench
from tests.export.groups import quick_look, voted
from tests.export.judged_examples import one_of_everything
from tests.record.records import results
from tests.reporting.examples import counted, ladder, predicted, sweep
from tests.reporting.reading_back import Page, Read, unfounded
from vlbench.api.measured import Measured
from vlbench.api.results import Verdicts
from vlbench.export.results import title
from vlbench.record.files import write_results
from vlbench.record.schema import Results
from vlbench.reporting.drawing import Axis

ROOT = Path(__file__).parents[2]


def page_of(*given: object) -> Page:
    return Page(vlbench.report(list(given), progress=False).html())  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    """Two groups with one of everything, written and loaded as anybody's file is."""
    path = tmp_path_factory.mktemp("results") / "a.json"
    write_results(results(quick_look(), voted()), path)
    found = vlbench.load(path)
    assert isinstance(found, Measured)
    return found


@pytest.fixture(scope="module")
def page(measured: Measured) -> Page:
    return page_of(measured)


def of_groups(page: Page, name: str, record: Results) -> Iterator[Read]:
    """The first table of a name in the chapter of each group."""
    return (page.table(name, title(group)) for group in record.groups)


def hold_rows(page: Page, measured: Measured) -> int:
    """Every figure of the tables of rows is that of `vlbench.load(FILE).table()`; how many were held."""
    table, held = measured.table(), 0
    for group, found in zip(measured.record.groups, of_groups(page, "variants", measured.record), strict=True):
        own = table[
            (table["scenario"] == group.scenario) & (table["point"] == group.point) & (table["state"] == "warm")
        ]
        expected = own.set_index("variant").to_dict("index")
        shown = found.by_name()
        assert shown.keys() == expected.keys()
        for name, figures in shown.items():
            for key, value in figures.items():
                if key in expected[name]:
                    assert value == expected[name][key], (name, key)
                    held += 1
    return held


def hold_calls(page: Page, measured: Measured) -> int:
    """Every call is drawn where it is, and the figures beside are those of `.samples()`."""
    samples, held = measured.samples(), 0
    for group, found in zip(measured.record.groups, of_groups(page, "calls", measured.record), strict=True):
        axis = Axis(found.facts["axis_low"], found.facts["axis_high"])
        per_pixel = math.log(axis.high / axis.low) / (axis.at(axis.high) - axis.at(axis.low))
        for row in found.rows:
            own = samples[(samples["scenario"] == group.scenario) & (samples["point"] == group.point)]
            own = own[(own["variant"] == row[0][0]) & (own["state"] == "warm")]["seconds"]
            drawn = [float(x) for x in re.findall(r"M([\d.]+) ", row[1][2])]
            back = [axis.low * math.exp((x - axis.at(axis.low)) * per_pixel) for x in drawn]
            assert back == pytest.approx(list(own), rel=0.011 * per_pixel)
            figures = found.by_name()[row[0][0]]
            assert figures["calls"] == len(own)
            ends = [figures[name] for name in ("fastest_seconds", "median_seconds", "slowest_seconds")]
            assert ends == pytest.approx([own.min(), own.median(), own.max()], rel=1e-12)
            held += len(drawn)
    return held


def test_every_row_is_that_of_the_table(page: Page, measured: Measured) -> None:
    assert hold_rows(page, measured) > 60


def test_every_call_is_drawn_where_it_is(page: Page, measured: Measured) -> None:
    assert hold_calls(page, measured) == len(measured.samples().dropna(subset="seconds"))


def test_no_cell_shows_a_number_that_is_not_behind_it(page: Page) -> None:
    cells = [cell for table in page.tables for row in table.rows for cell in row if cell[1]]
    assert len(cells) > 150
    assert [(text, figures, bad) for text, figures, _ in cells if (bad := unfounded(text, figures))] == []
    assert [(text, bad) for text, figures in page.tiles if figures and (bad := unfounded(text, figures))] == []


def test_the_first_screen_names_the_set_its_gain_and_its_check() -> None:
    measured = Measured(results(quick_look()))
    table, page = measured.table(), page_of(measured)
    own = table[table["variant"] == "best"].iloc[0]
    which, faster, right, machine = page.tiles[:4]
    assert which[0] == "best"
    assert faster[1] == {name: own[name] for name in ("speed_up", "speed_up_low", "speed_up_high")}
    assert right == ("yes", {"fp32_error": own["fp32_error"], "fp32_limit": 1e-5, "passed": True})
    assert machine[0] == f"{measured.record.fingerprint.cpu}, {measured.record.fingerprint.cores} cores"


def test_a_ladder_says_what_each_step_adds(tmp_path: Path) -> None:
    """Steps of 0.8, 0.5 and 1.0 of the time before."""
    page = page_of(Measured(ladder()))
    rows = page.table("ladder").by_name()
    assert list(rows) == ["no-flags", "+a", "+b", "+c"]
    assert [rows[name]["so_far"] for name in rows] == pytest.approx([1.0, 1.25, 2.5, 2.5], rel=1e-6)
    assert [rows[name]["step"] for name in ("+a", "+b", "+c")] == pytest.approx([1.25, 2.0, 1.0], rel=1e-6)
    assert list(page.tiles[:1]) == [("+b", {})], "the shortest that is as fast as any"


def test_cost_by_pictures_and_size_has_the_floor(tmp_path: Path) -> None:
    page = page_of(Measured(sweep()))
    costs = page.table("costs").by_name()
    assert len(costs) == 4
    for (count, side), row in zip([(1, 4), (2, 4), (1, 8), (2, 8)], costs.values(), strict=True):
        assert (row["pictures"], row["patches"]) == (count, count * side * side)
        base = 0.001 * count * side
        found = [row[name] for name in ("baseline", "best", "floor")]
        assert found == pytest.approx([base, 0.5 * base, 0.25 * base], rel=1e-9)
    assert page.tiles[1][0] == "2.00x to 2.00x"


def test_predictions_stand_apart_with_both_ends_of_each_band() -> None:
    made = predicted()
    page = page_of(made)
    rows = {row.row: row for row in made.record.groups[0].rows}
    for name, figures in page.table("predicted").by_name().items():
        band, ratio = rows[name].span, rows[name].ratio
        assert band
        assert (figures["span_low"], figures["span_high"]) == (band.low, band.high)
        if ratio:
            assert (figures["ratio_low"], figures["ratio_high"]) == (ratio.low, ratio.high)
    costs = page.table("costs").by_name()
    assert {key for row in costs.values() for key in row} > {"best_low", "best_high", "floor_low", "floor_high"}
    assert not {"seconds", "speed_up"} & {key for each in page.tables for row in each.by_name().values() for key in row}


def test_counters_are_those_of_the_report_with_the_lines_that_wait() -> None:
    made = counted()
    page = page_of(made)
    tower = made.record.groups[0].towers[0]
    assert tower.warm
    total = tower.warm.counts.total
    figures = page.table("counts").by_name()[tower.name]
    assert figures["host_syncs"] == total.host_syncs > 0
    assert figures["device_operations"] == total.device_operations
    (row,) = page.table("lines").rows
    texts = [text for text, *_ in row]
    assert texts[0] == tower.name
    assert tower.warm.sites[0].where.place in texts
    assert row[3][1] == {"times": tower.warm.sites[0].times}


def test_verdicts_are_those_of_the_record() -> None:
    judged = one_of_everything()
    page = page_of(Verdicts(judged))
    table = page.table("verdicts")
    assert sorted(row[0][0] for row in table.rows) == sorted(str(row.verdict) for row in judged.rows)
    figures = {(found.get("before"), found.get("after"), found.get("ratio")) for found in all_figures(table)}
    assert figures >= {(row.before, row.after, row.ratio) for row in judged.rows if row.ratio and row.before}
    moves = page.table("moves")
    assert len(moves.rows) == sum(len(row.moves) for row in judged.rows)


def all_figures(table: Read) -> Iterator[dict[str, float]]:
    for row in table.rows:
        yield {key: value for _, found, _ in row for key, value in found.items()}


def test_json_has_what_the_page_shows(measured: Measured, page: Page) -> None:
    found = json.loads(vlbench.report(measured, progress=False).json())
    numbers = {value for value in walk(found) if isinstance(value, float)}
    shown = {value for table in page.tables for row in table.rows for cell in row for value in cell[1].values()}
    assert {value for value in shown if isinstance(value, float)} <= numbers


def walk(value: object) -> Iterator[object]:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    yield value if not isinstance(value, dict | list) else None
    for each in inside:
        yield from walk(each)


@pytest.mark.slow(6)
@pytest.mark.parametrize("name", ["multi-image-cpu.json", "inverse-permutation-cpu.json"])
def test_the_published_results(name: str) -> None:
    measured = vlbench.load(ROOT / "results" / name)
    assert isinstance(measured, Measured)
    page = page_of(measured)
    assert hold_rows(page, measured) >= 70
    assert hold_calls(page, measured) == len(measured.samples().dropna(subset="seconds"))
    cells = [cell for table in page.tables for row in table.rows for cell in row if cell[1]]
    assert [(text, figures, bad) for text, figures, _ in cells if (bad := unfounded(text, figures))] == []
