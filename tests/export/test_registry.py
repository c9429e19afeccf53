"""A format is one file: options, documentation and the tests below find it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from docs.generate import format_table
from tests.export.groups import quick_look, voted
from tests.export.judged_examples import one_of_everything
from tests.record.records import results
from vlbench.cli.reporting import reports
from vlbench.errors import UsageError
from vlbench.export import formats
from vlbench.export.formats import exporters
from vlbench.export.registry import EXPORTERS, text_of
from vlbench.export.results import results_sheet
from vlbench.export.sheet import Cell, Sheet, Table, Words, compared

ESCAPE = "\x1b[2J::error::x"
PLAIN = Sheet(
    "vlbench list x", [Words("words", "bold"), Table("x", ["name", "n"], [(ESCAPE, Cell("1.2e-09", 1.25e-9))])]
)
SHEETS = {
    "comparison": compared(one_of_everything()),
    "run": results_sheet(results(quick_look(), voted())),
    "one trial": results_sheet(results(quick_look())),
    "tables": PLAIN,
}
FILE = """
from vlbench.export.registry import exporter
from vlbench.export.sheet import Sheet, records


@exporter("count-rows", "Write how many rows there are here.", comparison="their number", tables="the same")
def count_rows(sheet: Sheet) -> str:
    return str(len(records(sheet.tables)))
"""


@pytest.fixture
def another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The one file that an exporter costs, in a folder of its own."""
    (tmp_path / "formats").mkdir()
    (tmp_path / "formats" / "rows.py").write_text(FILE)
    monkeypatch.setattr(formats, "__path__", [*formats.__path__, str(tmp_path / "formats")])
    yield
    sys.modules.pop("vlbench.export.formats.rows", None)
    EXPORTERS.pop("count-rows", None)


@pytest.mark.usefixtures("another")
def test_one_file_is_an_option_a_line_of_the_documentation_and_one_of_the_formats(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app = typer.Typer()
    app.command()(reports(judges=False)(lambda: PLAIN))
    for arguments in (["--help"], ["--count-rows", str(tmp_path / "rows.txt")]):
        with pytest.raises(SystemExit) as end:
            app(arguments)
        assert end.value.code == 0
    assert "--count-rows" in capsys.readouterr().out
    assert (tmp_path / "rows.txt").read_text() == "1"
    assert "| `--count-rows FILE` | their number | the same |" in format_table()
    assert "count-rows" in exporters()


def test_the_formats_are_these() -> None:
    names = "bencher bigger-is-better csv github hud json junit markdown parquet prometheus sarif smaller-is-better svg"
    assert list(exporters()) == names.split()


@pytest.mark.parametrize("name", exporters())
@pytest.mark.parametrize("sheet", SHEETS)
def test_every_format_holds_every_sheet_and_nothing_that_a_terminal_obeys(name: str, sheet: str) -> None:
    each = exporters()[name]
    if each.verdicts and SHEETS[sheet].judged is None:
        return
    if each.package:
        pytest.importorskip(each.package)
    text = text_of(SHEETS[sheet], each)
    assert bool(text) or name == "github"
    assert isinstance(text, bytes) or "\x1b" not in text
    assert text == text_of(SHEETS[sheet], each)


def test_a_command_that_judges_nothing_refuses_what_tells_verdicts(tmp_path: Path) -> None:
    called = []
    command = reports(judges=False)(lambda: called.append(1))
    with pytest.raises(UsageError, match=r"^--junit tells verdicts, and this command judges nothing; take --csv or"):
        command(export_junit=tmp_path / "a.xml")
    assert not called


def test_only_what_is_wrong_or_missing_in_a_run_is_an_annotation() -> None:
    said = str(text_of(SHEETS["run"], exporters()["github"])).splitlines()
    assert said
    kinds = ("::error title=vlbench run%3A inaccurate", "::error title=vlbench run%3A missing")
    assert all(line.startswith(kinds) for line in said)
