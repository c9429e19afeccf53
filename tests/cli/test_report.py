"""`vlbench report` from its arguments to its exit status."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Vlbench
from tests.export.groups import quick_look
from tests.record.records import results
from tests.reporting.reading_back import Page
from vlbench.record.files import write_results


@pytest.fixture(autouse=True)
def run(folder: Path) -> None:
    write_results(results(quick_look()), folder / "run.json")


def test_a_page_is_written_and_what_matters_is_printed(vlbench: Vlbench, folder: Path) -> None:
    ended = vlbench("report", "run.json", "-o", "page.html")
    assert ended.code == 0, ended
    assert max(map(len, ended.out.splitlines())) <= 80
    assert "Which set: best; 1 flag" in ended.out
    assert "3 chapters in page.html" in ended.out
    assert len(Page((folder / "page.html").read_text()).tables) > 5
    again = vlbench("report", "run.json", "-o", "page.html")
    assert (again.code, "--force" in again.err) == (2, True)
    assert vlbench("report", "run.json", "-o", "page.html", "--force").code == 0


def test_markdown_and_json_are_printed_alone(vlbench: Vlbench) -> None:
    assert vlbench("report", "run.json", "--markdown").out.startswith("<!-- vlbench report -->\n###")
    ended = vlbench("report", "run.json", "--json")
    assert ended.json()["schema"] == "vlbench.report/1"
    assert ended.json()["answers"][0]["tiles"][0]["answer"] == "best"


def test_the_past_of_files_alone_is_a_report(vlbench: Vlbench, folder: Path) -> None:
    write_results(results(quick_look()), folder / "again.json")
    ended = vlbench("report", "--history", "run.json", "--history", "again.json", "-o", "page.html")
    assert ended.code == 0, ended
    assert Page((folder / "page.html").read_text()).table("history").facts == {}
    assert "name a file that vlbench wrote" in vlbench("report").sentence
    assert "none" in vlbench("report", "run.json", "--history", "none").sentence


def test_what_cannot_be_read_ends_with_2(vlbench: Vlbench, folder: Path) -> None:
    (folder / "other.json").write_text('{"a": 1}')
    for name in ("none.json", "other.json"):
        ended = vlbench("report", "run.json", name, "-o", "page.html")
        assert (ended.code, len(ended.err.strip().splitlines())) == (2, 1), ended
        assert name in ended.err
    assert not (folder / "page.html").exists()
