"""`vlbench history` over a repository and over files, from its arguments to its exit status."""

from __future__ import annotations

from pathlib import Path

import pytest

import vlbench as package
from tests.cli.conftest import Vlbench
from tests.comparing.test_history import counting, timing
from tests.gating.timings import measured
from tests.record.baselines import baseline, cell, forward
from tests.record.records import results
from tests.repositories import commit, git
from vlbench.comparing.history import Series
from vlbench.export.history import pair_cells, series_columns, sparkline
from vlbench.export.sheet import Cell, table_of
from vlbench.gating.manifest import NAME
from vlbench.record.baseline import Baseline
from vlbench.record.baseline_files import write_baseline
from vlbench.record.files import write_results

FILE = Path("results/baselines/vision.json")


def keep(folder: Path, record: Baseline | str) -> str:
    (folder / FILE).parent.mkdir(parents=True, exist_ok=True)
    if isinstance(record, str):
        (folder / FILE).write_text(record)
    else:
        write_baseline(record, folder / FILE)
    return commit(folder, {})


@pytest.fixture
def past(folder: Path) -> list[str]:
    """A repository whose baseline went 4, 4 (another file), 6, no baseline, 0."""
    made = [keep(folder, counting(4)), commit(folder, {"other.py": "1"}), keep(folder, counting(6))]
    return [*made, keep(folder, "{}"), keep(folder, counting(0))]


def test_a_baseline_keeps_its_past(vlbench: Vlbench, past: list[str]) -> None:
    ended = vlbench("history", FILE)
    assert ended.code == 0, ended.err
    told = " ".join(ended.out.split())
    assert f"{FILE}: 3 versions, {past[0][:9]}" in told
    assert "second forward: host syncs \u2586\u2588\u2581 4 0 2" in told
    assert f"{past[2][:9]} " in told
    assert "a change: second forward: host syncs 4 -> 6, first forward: host syncs 4 -> 6" in told
    assert f"{past[3][:9]} is left out: vision.json: " in told
    assert "never changed; --all shows them" in told
    assert max(map(len, ended.out.splitlines())) <= 80
    assert vlbench("history").out == ended.out


def test_a_range_and_what_is_not_committed(vlbench: Vlbench, past: list[str], folder: Path) -> None:
    (one,) = vlbench("history", FILE, "--git", f"{past[1]}..{past[2]}", "--json").json()
    assert [each["name"] for each in one["versions"]] == [past[1][:9], past[2][:9]]
    write_baseline(counting(1), folder / FILE)
    (whole,) = vlbench("history", FILE, "--json").json()
    assert whole["versions"][-1] == {"name": "now", "date": "2025-11-03", "words": "not committed"}
    syncs = next(each for each in whole["series"] if each["figure"] == "second forward: host_syncs")
    assert syncs["values"] == [4, 6, 0, 1]
    assert [each["at"] for each in syncs["changes"]] == [past[2][:9], past[4][:9], "now"]


def test_nothing_that_a_repository_names_is_run(vlbench: Vlbench, past: list[str], folder: Path) -> None:
    git(folder, "config", "diff.external", f"touch {folder}/ran;")
    git(folder, "config", "core.fsmonitor", f"touch {folder}/ran;")
    git(folder, "config", "log.showSignature", "true")
    assert vlbench("history", FILE).code == 0
    assert not (folder / "ran").exists()


def test_several_files_are_versions_by_their_dates(vlbench: Vlbench, folder: Path) -> None:
    for name, day, ratio in (("monday", 3, 0.5), ("tuesday", 4, 0.6), ("early", 1, 0.4)):
        made = results(measured(*[ratio] * 5))
        write_results(made.model_copy(update={"created": made.created.replace(day=day)}), folder / f"{name}.json")
    (one,) = vlbench("history", "monday.json", "tuesday.json", "early.json", "--all", "--json").json()
    assert [each["name"] for each in one["versions"]] == ["early", "monday", "tuesday"]
    ratio = next(each for each in one["series"] if each["figure"] == "time of baseline")
    assert ratio["values"] == pytest.approx([0.4, 0.5, 0.6])
    assert "no change is looked for there" in " ".join(vlbench("history", "monday.json", "tuesday.json").out.split())
    assert len(package.history(["monday.json", "tuesday.json"], progress=False).table()) > 2


def test_a_folder_stands_for_its_files_or_for_each_baseline(vlbench: Vlbench, folder: Path, past: list[str]) -> None:
    for name, syncs in (("a/nightly", 4), ("b/nightly", 5), ("a/z", 6)):
        (folder / name).parent.mkdir(exist_ok=True)
        write_baseline(counting(syncs), folder / f"{name}.json")
    (one,) = vlbench("history", "a", "b", "--json").json()
    assert [each["name"] for each in one["versions"]] == ["a/nightly.json", "z", "b/nightly.json"]
    assert [each["source"] for each in vlbench("history", "a", "--json").json()] == ["2 files"]
    (folder / "a" / NAME).write_text("{}")
    assert [each["source"] for each in vlbench("history", "a", "--json").json()] == ["a/nightly.json", "a/z.json"]
    (folder / "empty").mkdir()
    assert vlbench("history", "empty").sentence.startswith("empty: holds no .json file; ")


def test_machines_and_long_series_fit_into_80_columns(vlbench: Vlbench, folder: Path) -> None:
    for number in range(12):
        write_baseline(timing(0.01 + 0.01 * (number > 5)), folder / f"v{number:02}.json")
    ended = vlbench("history", *(f"v{number:02}.json" for number in range(12)), "--all")
    assert ended.code == 0, ended.err
    assert max(map(len, ended.out.splitlines())) <= 80
    pytest.importorskip("ruptures")
    assert "time 10 ms -> 20 ms" in " ".join(ended.out.split())


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("none.json",), 2, "none.json: no such file; give results, a baseline or a count"),
        (("none.json", "--git", "HEAD~1..HEAD"), 2, "none.json: no such file; give results, a baseline or a count"),
        (("new.json", "--git", "HEAD~1..HEAD"), 6, "new.json: no version can be read: git has no version of it"),
        (("vision.json", "--git", "nowhere"), 2, "--git 'nowhere': write it as FIRST..LAST"),
        (("small.toml", "small.toml"), 2, "small.toml: not JSON"),
        ((), 6, "results/baselines: holds no baseline"),
    ],
)
def test_what_has_no_history_is_refused(
    vlbench: Vlbench, folder: Path, arguments: tuple[str, ...], code: int, told: str
) -> None:
    for text in "12":
        commit(folder, {"a.txt": text})
    (folder / "new.json").write_text("{}")
    ended = vlbench("history", *arguments)
    assert ended.code == code
    assert ended.err.splitlines()[-1].startswith(f"error: {told}")


def test_outside_of_a_repository_it_says_so(vlbench: Vlbench, folder: Path) -> None:
    told = vlbench("history", "small.toml").sentence
    assert "not a git repository" in told
    assert told.endswith("one file has no past outside of git; give two files or more, or run it in a repository")
    assert vlbench("history", "none.json").sentence == "none.json: no such file; give results, a baseline or a count"


def test_a_step_that_short_figures_hide_is_told_whole(vlbench: Vlbench, folder: Path) -> None:
    for name, size in (("a", 17_000_001), ("b", 17_000_003)):
        write_baseline(baseline(cell(forward(upload_bytes=size))), folder / f"{name}.json")
    told = " ".join(vlbench("history", "a.json", "b.json").out.split())
    assert "second forward: upload bytes 17,000,001 -> 17,000,003 B" in told


def test_a_line_of_blocks() -> None:
    assert sparkline([0, 7, None, 3.5]) == "\u2581\u2588 \u2585"
    assert sparkline([5, 5]) == "\u2581\u2581"
    assert sparkline([*range(100)], 8) == "\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588"
    assert sparkline([None]) == " "


def test_values_that_look_alike_in_short_are_shown_whole() -> None:
    shown = [each.shown for each in pair_cells(68_852_873_980, 68_867_013_380, "B")]
    assert shown == ["68,852,873,980", "68,867,013,380 B"]
    assert [each.shown for each in pair_cells(0.0101234, 0.0101235, "s")] == ["0.0101234", "0.0101235 s"]
    assert [each.shown for each in pair_cells(0.01, 0.02, "s")] == ["10 ms", "20 ms"]
    row = Series("bytes", "cell", "B", "", (None, 68_852_873_980, 1, 68_867_013_380, None), ())
    ends = [each.shown for each in table_of("", [row], series_columns()).rows[0][2:4] if isinstance(each, Cell)]
    assert ends == shown


@pytest.mark.parametrize("end", ["\u2028", "\x85", "\x0b", "\x0c", "\x1c", "\r"])
def test_a_subject_with_what_some_take_for_the_end_of_a_line_is_one_subject(
    vlbench: Vlbench, past: list[str], folder: Path, end: str
) -> None:
    git(folder, "commit", "--quiet", "--amend", "--cleanup=verbatim", "--message", f"first{end}second")
    ((whole,), (some,)) = (vlbench("history", FILE, *more, "--json").json() for more in ([], ["--git", "HEAD~1..HEAD"]))
    assert [each["versions"][-1]["words"] for each in (whole, some)] == ["first second"] * 2
