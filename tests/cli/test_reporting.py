"""What the options of reports write, where, and that a file which cannot be written is said before anything else."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import parse

import pandas as pd
import pytest
import typer

from tests.cli.conftest import Vlbench
from tests.export.judged_examples import all_the_same, one_of_everything
from vlbench.cli.reporting import check_goals, deliver, reports
from vlbench.errors import UsageError
from vlbench.export.sheet import Sheet, compared
from vlbench.judging.judged import Judged
from vlbench.record.destinations import forget_claims, reserved

Delivered = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    return tmp_path


@pytest.fixture
def delivered(capfd: pytest.CaptureFixture[str]) -> Delivered:
    def call(judged: Judged, *, force: bool = False, **options: Any) -> tuple[int, str, str]:
        check_goals(options, force=force)
        with pytest.raises(typer.Exit) as end:
            deliver(compared(judged), options)
        return end.value.exit_code, *capfd.readouterr()

    return call


def test_the_exit_code_is_that_of_the_rows(delivered: Delivered) -> None:
    assert delivered(one_of_everything())[0] == 5
    assert delivered(all_the_same())[0] == 0
    code, out, err = delivered(all_the_same(0))
    assert (code, err) == (6, "")
    assert "NOTHING WAS COMPARED: no rows; exit code 6" in out


def test_every_file_is_written(delivered: Delivered, here: Path) -> None:
    files = {name: here / f"report.{name}" for name in ("csv", "markdown", "junit")}
    files["csv"].write_text("an older, longer report\n" * 1000)
    with pytest.raises(UsageError, match="there is a file already; --force replaces it"):
        delivered(one_of_everything(), **files)
    code, out, _ = delivered(one_of_everything(), force=True, **files)
    assert code == 5
    assert out.splitlines()[-1].endswith("exit code 5, after 12.3 s")
    assert len(pd.read_csv(files["csv"])) == 16
    assert files["markdown"].read_text(encoding="utf-8").startswith("<!-- vlbench -->\n")
    assert parse(files["junit"]).getroot().attrib["tests"] == "16"


def test_json_is_all_that_stdout_holds(delivered: Delivered) -> None:
    code, out, err = delivered(one_of_everything(), json=True, github=True)
    assert json.loads(out)["exit_code"] == code == 5
    assert all(line.startswith("::") for line in err.splitlines())
    assert len(err.splitlines()) == 7


def test_annotations_precede_the_report(delivered: Delivered) -> None:
    _, out, err = delivered(one_of_everything(), github=True)
    assert out.startswith("::error title=vlbench gate%3A inaccurate::")
    assert "exit code 5" in out.splitlines()[-1]
    assert err == ""


def test_the_summary_of_a_step_is_added_to_and_stays_within_its_limit(
    delivered: Delivered, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vlbench.export.formats import markdown

    summary = here / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    summary.write_text("what came before\n")
    delivered(one_of_everything(), github=True)
    delivered(all_the_same(), github=True)
    text = summary.read_text(encoding="utf-8")
    assert text.startswith("what came before\n<!-- vlbench -->\n### ❌ vlbench gate: inaccurate\n")
    assert "\n<!-- vlbench -->\n### ✅ vlbench gate: passed\n" in text
    full = len(text.encode())
    monkeypatch.setattr(markdown, "STEP_SUMMARY", full)
    delivered(one_of_everything(), github=True)
    assert summary.stat().st_size == full
    monkeypatch.setattr(markdown, "STEP_SUMMARY", full + 1000)
    delivered(one_of_everything(), github=True)
    assert full < summary.stat().st_size <= full + 1000
    assert "for want of room" in summary.read_text(encoding="utf-8")[len(text) :]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"csv": Path("nowhere/a.csv")}, "--csv nowhere/a.csv: the folder nowhere does not exist; make it or choose"),
        ({"markdown": Path()}, "--markdown .: a folder; give a file"),
        ({"csv": Path("loop")}, "--csv loop: its links lead in a circle; choose another"),
        ({"csv": Path("a"), "junit": Path("./a")}, "--csv and --junit both name a; give each a file of its own"),
    ],
)
def test_what_cannot_be_written_is_one_sentence_beforehand(options: dict[str, Path], sentence: str) -> None:
    Path("loop").symlink_to("loop")
    with pytest.raises(UsageError) as error:
        check_goals(options)
    assert str(error.value).startswith(sentence)
    assert [str(path) for path in Path().iterdir()] == ["loop"]


def test_a_table_of_the_run_that_is_gone_on_with_wants_force(here: Path) -> None:
    (here / "a.csv").write_text("x")
    with pytest.raises(UsageError, match=r"there is a file already; .* with --force --resume goes on all the same$"):
        check_goals({"csv": Path("a.csv")}, resume=True)
    check_goals({"csv": Path("a.csv")}, resume=True, force=True)


@pytest.mark.parametrize("csv", ["s.json", "link", "s.journal.jsonl"])
def test_a_report_is_no_file_that_the_results_need(csv: str) -> None:
    Path("link").symlink_to("s.json")
    check_goals({"csv": Path(csv)})
    with pytest.raises(UsageError, match=rf"^--csv and .*--out both name {csv}; give each"), reserved(Path("s.json")):
        pass
    check_goals({"csv": Path("/dev/null"), "markdown": Path("/dev/null")})
    forget_claims()


def test_a_summary_that_cannot_be_written_is_said_beforehand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "nowhere/summary.md")
    check_goals({})
    with pytest.raises(UsageError, match=r"^--github: GITHUB_STEP_SUMMARY nowhere/summary.md: the folder nowhere does"):
        check_goals({"github": True})


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_permissions_are_looked_at(here: Path) -> None:
    here.chmod(0o500)
    with pytest.raises(UsageError, match=r"^--csv a.csv: may not be written; change its permissions"):
        check_goals({"csv": Path("a.csv")})


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is always full")
def test_a_full_disk_does_not_cost_the_verdict(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match=r"^--csv /dev/full: cannot be written \(No space left on device\)"):
        deliver(compared(all_the_same()), {"csv": Path("/dev/full")})
    assert "PASSED: 14 same; exit code 0" in capfd.readouterr().out


def test_a_terminal_may_be_named_twice() -> None:
    check_goals({"csv": Path("/dev/null"), "junit": Path("/dev/null")})


def test_the_options_are_those_that_deliver_takes(capsys: pytest.CaptureFixture[str]) -> None:
    """A command with the options passes them on as they are called."""
    app = typer.Typer()

    @app.command()
    @reports()
    def judged() -> Sheet:
        return compared(all_the_same())

    with pytest.raises(SystemExit) as end:
        app(["--csv", "a.csv", "--markdown", "b.md", "--junit", "c.xml", "--json"])
    assert end.value.code == 0
    assert sorted(path.name for path in Path().iterdir()) == ["a.csv", "b.md", "c.xml"]
    assert json.loads(capsys.readouterr().out)["exit_code"] == 0


def test_no_line_in_a_pipe_ends_with_blanks(vlbench: Vlbench) -> None:
    lines = vlbench("list", "scenarios").out.splitlines()
    assert lines[0].startswith("scenario ")
    assert lines == [line.rstrip() for line in lines]
