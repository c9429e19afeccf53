from __future__ import annotations

import csv
from io import StringIO

from tests.export.groups import quick_look, voted
from tests.export.rendered import shown
from tests.record.records import results
from vlbench.export.console import view
from vlbench.export.formats.csv import csv_text
from vlbench.export.formats.markdown import markdown_text
from vlbench.export.results import judged_groups, results_sheet
from vlbench.export.sheet import Cell, Column, Columns, Sheet, Table, Words, figure, records, shown_rows, table_of
from vlbench.judging.summary import summaries
from vlbench.judging.verdict import Floors, Verdict
from vlbench.untrusted.console import SafeConsole

TIMES = Table("t", [Column("variant"), Column("ms", "seconds")], [("a", Cell("1.23", 0.0012345678901234)), ("b", None)])
COSTS = Table("t", [Column("variant"), Column("first\nms", "first_seconds")], [("b", Cell("2.00", 0.002))])


def test_tables_of_one_name_are_joined_by_their_first_column() -> None:
    assert records([TIMES, COSTS]) == [
        {"table": "t", "variant": "a", "seconds": 0.0012345678901234},
        {"table": "t", "variant": "b", "seconds": None, "first_seconds": 0.002},
    ]


def test_columns_say_how_a_row_is_filled_and_what_is_missing_is_not_zero() -> None:
    columns: Columns[float | None] = {
        Column("ms", "seconds"): lambda seconds: figure(seconds, lambda value: f"{value * 1e3:.1f}"),
        "share": lambda seconds: figure(seconds, "{:.0%}"),
    }
    table = table_of("t", [0.25, None], columns)
    assert shown_rows(table) == [["250.0", "25%"], ["-", "-"]]
    assert records([table])[0] == {"table": "t", "seconds": 0.25, "share": 0.25}
    assert records([table])[1] == {"table": "t", "seconds": None, "share": None}


def test_a_piece_of_a_paragraph_has_a_style_of_its_own() -> None:
    text = "REGRESSED time: a"
    assert shown([Words(text, "bold red", styled="REGRESSED"), Words(text, indent=2)]).splitlines() == [
        text,
        f"  {text}",
    ]


def test_rows_that_look_alike_stay_apart() -> None:
    twice = Table("t", ["where", "n"], [("a.py:1", 1), ("a.py:1", 1)], facts={"tower": "x"})
    assert (
        records([twice, Table("", ["where"], [("for people",)])])
        == [{"table": "t", "tower": "x", "where": "a.py:1", "n": 1}] * 2
    )


def test_csv_has_full_precision() -> None:
    first, second = csv.DictReader(StringIO(csv_text(Sheet("x", [Words("w"), TIMES, COSTS]))))
    assert (first["seconds"], first["first_seconds"]) == ("0.0012345678901234", "")
    assert (second["seconds"], second["first_seconds"]) == ("", "0.002")


def test_a_run_as_csv_has_a_line_per_variant_of_each_group() -> None:
    groups = [quick_look(), voted()]
    lines = list(csv.DictReader(StringIO(csv_text(results_sheet(results(*groups))))))
    assert [(line["point"], line["variant"]) for line in lines].count(("count=4", "best")) == 1
    assert len(lines) == sum(len(group.rows) for group in groups)
    (best,) = [each for each in summaries(groups[1], Floors()) if each.row.name == "best"]
    (line,) = [line for line in lines if (line["point"], line["variant"]) == ("count=4", "best")]
    assert best.estimate
    assert float(line["seconds"]) == best.seconds
    assert float(line["speed_up"]) == best.estimate.speedup
    assert line["verdict"] == "improved"
    assert float(line["share_mlp"]) > 0


def test_a_run_is_red_only_where_a_row_is_wrong_or_missing() -> None:
    judged = judged_groups("run", [voted()])
    assert {row.verdict for row in judged.rows if row.gates} == {Verdict.SAME, Verdict.INACCURATE, Verdict.MISSING}
    assert Verdict.REGRESSED in {row.verdict for row in judged.rows if not row.gates}
    assert judged.exit_code == 5


def test_rows_beyond_the_limit_are_for_programs() -> None:
    table = Table("t", [Column("name", cut=True), "n"], [("x" * 200, n) for n in range(5)], limit=2)
    text = shown([table])
    assert "... 3 more (--limit 0 shows all)" in text
    assert max(map(len, text.splitlines())) <= 80
    assert len(text.splitlines()) == 4
    assert len(records([table])) == 5
    assert "3 more" in markdown_text(Sheet("x", [table]))


def test_markdown_that_does_not_fit_is_left_out_as_whole_tables() -> None:
    sheet = Sheet("x", [Table("t", ["name"], [("y" * 100,)] * 20)] * 9)
    text = markdown_text(sheet, 10_000)
    assert len(text.encode()) <= 10_000
    assert "sections left out here for want of room" in text
    assert markdown_text(sheet, 10) == ""


def test_a_name_keeps_its_letters_together_however_much_stands_beside_it() -> None:
    columns = [Column("variant", most=20), *(Column(f"heading{number}") for number in range(9))]
    table = Table("counts", columns, [("rope-cache", *["12,345,678"] * 9)], gap=1)
    out = StringIO()
    SafeConsole(file=out, width=80).print(view([table]), crop=False)
    assert "rope-cache 12,345,678" in out.getvalue()
