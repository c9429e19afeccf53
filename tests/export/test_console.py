from __future__ import annotations

from io import StringIO

import pytest
from rich.cells import cell_len
from rich.console import Console

from tests.export.rendered import shown
from vlbench.export.console import view
from vlbench.export.sheet import Cell, Column, Table, Words

COMMAND = '`vlbench baseline accept results/baselines/towers.json --reason "..."`'


@pytest.mark.parametrize("indent", [0, 4])
def test_a_command_in_a_paragraph_is_in_one_line(indent: int) -> None:
    told = f"What rose is to be mended; where that is meant, {COMMAND} takes the new figures, and the file says who."
    lines = shown([Words(told, indent=indent)]).splitlines()
    assert any(COMMAND in line for line in lines)
    assert all(line.startswith(" " * indent) for line in lines)
    assert max(map(len, lines)) <= 80
    assert " ".join(" ".join(lines).split()) == told


def test_a_command_that_is_wider_than_the_terminal_is_whole_all_the_same() -> None:
    command = COMMAND.replace("towers", "t" * 60)
    out = StringIO()
    Console(file=out, width=80).print(view([Words(f"take it: {command}", indent=2)]), crop=False)
    assert f"  {command}\n" in out.getvalue()


@pytest.mark.parametrize("most", [None, 8])
@pytest.mark.parametrize("width", [20, 40, 60, 80])
def test_the_words_of_the_first_column_are_whole_on_any_terminal(width: int, most: int | None) -> None:
    name, figures = "windows-of-a-tower", ["1,000,000", "2,000,000"]
    heads = [Column("variant", most=most), "ms", "waits", Column("why", left=True)]
    table = Table("t", heads, [[name, *figures, "because of that " * 9], [f"two {name}", *figures, ""]])
    out = StringIO()
    Console(file=out, width=width).print(view([table]), crop=False)
    assert out.getvalue().split().count(name) == 2
    assert all(out.getvalue().split().count(each) == 2 for each in figures)
    assert max(len(line.rstrip()) for line in out.getvalue().splitlines()) <= max(width, 62)


def test_on_a_terminal_a_very_long_name_goes_on_below_and_others_are_whole() -> None:
    long, short = "x" * 90, "y" * 30
    out = StringIO()
    Console(file=out, width=80, force_terminal=True, color_system=None).print(
        view([Table("t", [Column("name", most=24), "ms"], [[long, 1.5], [short, 2.5]])]), crop=False
    )
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert sum(line.count("x") for line in lines) == 90
    assert short in out.getvalue()


@pytest.mark.parametrize("options", [{}, {"gap": 1, "indent": 4}, {"limit": 1}])
@pytest.mark.parametrize("name", ["tower", "a very long name of a tower, in words that go on below one another"])
@pytest.mark.parametrize("cut", [False, True])
def test_a_table_that_fits_is_what_rich_would_make_of_it(
    monkeypatch: pytest.MonkeyPatch, cut: bool, name: str, options: dict[str, int]
) -> None:
    heads = [
        Column("variant", cut=cut),
        "detect-\nable %",
        Column("most\nof it", left=True, most=9),
        "",
        Column("why", left=True),
    ]
    rows = [[name, 1234.5, "here", 3, Cell("[red]bold", style="red")], ["b", None, "", Cell("1.5", 1.5), "no \\ such"]]
    table = Table("t", heads, rows, "title", **options)  # type: ignore[arg-type]
    fast = shown([table, Words("end")])
    monkeypatch.setattr("vlbench.export.console._is_plain", lambda columns: False)
    assert fast == shown([table, Words("end")])


@pytest.mark.parametrize("odd", ["\u6f22\u5b57 a", "a\nb", "a\tb", "e\u0301"])
def test_a_table_with_odd_signs_keeps_its_columns(odd: str) -> None:
    table = Table("t", ["name", "n"], [[odd, 1], ["plain", 2]])
    lines = shown([table]).splitlines()
    ends = {cell_len(line) for line in lines if line.endswith(("1", "2", "n"))}
    assert (len(ends), "plain" in lines[-1]) == (1, True)
