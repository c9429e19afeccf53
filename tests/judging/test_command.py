"""`vlbench judge` from end to end: files in, table or JSON and exit status out."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from vlbench.cli.judge import judge
from vlbench.errors import UsageError

app = typer.Typer()
app.command()(judge)


def run(*options: str) -> Result:
    return CliRunner().invoke(app, options, env={"COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb"})


def usage(*options: str) -> str:
    """The sentence of a wrong command, which the program prints before it ends with 2."""
    result = run(*options)
    assert isinstance(result.exception, UsageError), result.output
    return str(result.exception)


def files(folder: Path, side: str, values: Sequence[float]) -> list[str]:
    paths = []
    for number, value in enumerate(values):
        path = folder / f"{side}{number}.csv"
        path.write_text(f"name,value,unit\nencode,{value},ms\n")
        paths.append(str(path))
    return paths


def options(folder: Path, before: Sequence[float], after: Sequence[float]) -> list[str]:
    sides = (("--before", "a", before), ("--after", "b", after))
    return [part for option, side, values in sides for path in files(folder, side, values) for part in (option, path)]


TIGHT = (100.0, 100.2, 99.9)


@pytest.mark.parametrize(
    ("after", "code", "verdict"),
    [
        ((100.1, 99.8, 100.0), 0, "same"),
        ((90.1, 89.8, 90.0), 0, "improved"),
        ((110.1, 109.8, 110.0), 3, "regressed"),
        ((80.0, 100.0, 130.0), 4, "inconclusive"),
    ],
)
def test_exit_status_and_verdict(tmp_path: Path, after: tuple[float, ...], code: int, verdict: str) -> None:
    result = run(*options(tmp_path, TIGHT, after))
    assert (result.exit_code, verdict in result.output) == (code, True)
    outcome = verdict.upper() if code else "PASSED"
    last = f"{outcome}: 1 {verdict}, of 1 row at 99 % confidence; exit code {code}"
    assert result.output.splitlines()[-1] == last
    machine = run(*options(tmp_path, TIGHT, after), "--json")
    whole = json.loads(machine.output)
    assert (machine.exit_code, whole["exit_code"], whole["rows"][0]["verdict"]) == (code, code, verdict)


def test_times_are_written_in_the_unit_that_people_would_take(tmp_path: Path) -> None:
    result = run(*options(tmp_path, (13160.0, 13161.0, 13162.0), (0.0131, 0.01311, 0.01312)))
    assert "encode 13.16 s 13.11 us" in " ".join(result.output.split())


def test_what_is_allowed_and_what_has_no_say_is_said_at_the_end(tmp_path: Path) -> None:
    noisy = options(tmp_path, TIGHT, (80.0, 100.0, 130.0))
    for path in sorted(tmp_path.glob("b*.csv")):
        path.write_text(f"{path.read_text()}decode,{path.stem[1:]}1,ms\n")
    result = run(*noisy, "--allow-inconclusive", "--confidence", "95%")
    told = "1 missing, 1 inconclusive, which is allowed (1 of them without a say)"
    assert f"PASSED: {told}, of 2 rows at 95 % confidence; exit code 0" in " ".join(result.output.split())


def test_of_very_many_reasons_those_of_what_fails_are_told(tmp_path: Path) -> None:
    for side, scale in (("a", 1.0), ("b", 2.0)):
        for run_number in range(3):
            noisy = [f"t{at},{1 + run_number * (at + 9) / 99},ms\n" for at in range(120)]
            last = f"worse,{scale + run_number / 1e6},ms\n"
            (tmp_path / f"{side}{run_number}.csv").write_text(f"name,value,unit\n{''.join(noisy)}{last}")
    lines = run("--before", str(tmp_path / "a*"), "--after", str(tmp_path / "b*")).output.splitlines()
    told = [line for line in lines if line.startswith(("regressed ", "inconclusive "))]
    assert (len(told), told[0].startswith("regressed worse: worse: +100.0 %")) == (100, True)
    assert [line for line in lines if "reasons more" in line] == ["and 21 reasons more (--json)"]
    whole = "REGRESSED: 1 regressed, 120 inconclusive, of 121 rows at 99 % confidence; exit code 3"
    assert " ".join(lines[-2:]) == whole


def test_an_injected_slow_down_fails_and_its_removal_passes(tmp_path: Path) -> None:
    assert run(*options(tmp_path, TIGHT, [1.05 * each for each in (100.3, 99.7, 100.1)])).exit_code == 3
    assert run(*options(tmp_path, TIGHT, (100.3, 99.7, 100.1))).exit_code == 0


def test_a_published_comparison_of_three_runs_is_inconclusive(tmp_path: Path) -> None:
    before, after = tmp_path / "before.txt", tmp_path / "after.txt"
    before.write_text("throughput: 17.25 +- 0.72 requests/s (n=3)\n")
    after.write_text("throughput: 18.01 ± 0.94 requests/s of 3 runs\n", encoding="utf-8")
    result = run("--before", str(before), "--after", str(after))
    assert result.exit_code == 4
    words = " ".join(result.output.split())
    assert "throughput 17.25/s 18.01/s +4.4 [-13.1, +25.5] 36.5 inconclusive" in words
    assert "3 runs against 3 with this spread show changes from 36.5 % on, and the threshold is 5.0 %" in words
    assert run("--before", str(before), "--after", str(after), "--allow-inconclusive").exit_code == 0
    assert (
        run("--before", str(before), "--after", str(after), "--confidence", "0.5", "--threshold", "30%").exit_code == 0
    )


def test_one_file_a_side_is_inconclusive_and_shows_its_estimate(tmp_path: Path) -> None:
    result = run(*options(tmp_path, (100.0,), (150.0,)))
    assert result.exit_code == 4
    assert "+50.0" in result.output
    assert "1 run a side cannot show how runs differ; give 3" in " ".join(result.output.split())


def test_a_name_is_whole_in_a_pipe_however_long_it_is(tmp_path: Path) -> None:
    name = "tests/benchmarks/test_tower.py::test_forward_of_a_very_long_name[qwen2_5_vl-32x36x36-bf16]"
    for side, scale in (("a", 1.0), ("b", 3.1)):
        for number in range(3):
            rows = f"{name},{scale * (0.0123 + number / 500)},s\nshort,{scale * (1e-7 + number * 1e-9)},s\n"
            (tmp_path / f"{side}{number}.csv").write_text(f"name,value,unit\n{rows}")
    result = run("--before", str(tmp_path / "a*.csv"), "--after", str(tmp_path / "b*.csv"))
    assert [line.split(" ")[0] for line in result.output.splitlines()].count(name) == 1
    assert "101 ns" in result.output


def test_json_says_all_that_the_table_says(tmp_path: Path) -> None:
    whole: dict[str, Any] = json.loads(run(*options(tmp_path, TIGHT, (110.1, 109.8, 110.0)), "--json").output)
    row = whole["rows"][0]
    assert whole["schema"] == "vlbench.judge/1"
    assert whole["floors"] == {"relative": 0.01, "threshold": 0.05, "confidence": 0.99, "runs": 3}
    assert whole["expected_false_rows"] == pytest.approx(0.01)
    assert (row["name"], row["unit"], row["better"]) == ("encode", "ms", "lower")
    assert row["change"]["low"] < row["change"]["ratio"] < row["change"]["high"]
    assert row["change"]["ratio"] == pytest.approx(row["after"] / row["before"])
    assert row["visible"] < 0.05
    assert row["reason"].startswith("worse: +9.9 %")


def test_a_rate_that_rises_shows_as_a_rise(tmp_path: Path) -> None:
    for side, scale in (("a", 1.0), ("b", 1.2)):
        for number in range(3):
            (tmp_path / f"{side}{number}.csv").write_text(
                f"name,value,unit\nrate,{scale * (10 + number / 100)},req/s\n"
            )
    result = run("--before", str(tmp_path / "a*"), "--after", str(tmp_path / "b*"), "--json")
    row = json.loads(result.output)["rows"][0]
    assert (row["verdict"], row["change"]["ratio"]) == ("improved", pytest.approx(1.2))
    assert row["change"]["low"] < 1.2 < row["change"]["high"]


def test_failed_requests_end_with_five_and_a_renamed_metric_with_six(tmp_path: Path) -> None:
    base = {"model_id": "m", "request_throughput": 10.0, "total_token_throughput": 1.0, "failed": 0}
    for number in range(3):
        (tmp_path / f"a{number}.json").write_text(json.dumps({**base, "date": number}))
        (tmp_path / f"b{number}.json").write_text(json.dumps({**base, "date": 9 + number, "failed": number}))
        renamed = {"median_ttft_ms": 10.0, **{key: base[key] for key in base if key != "request_throughput"}}
        (tmp_path / f"c{number}.json").write_text(json.dumps({**renamed, "request_throughput": None, "date": number}))
    before = ("--before", str(tmp_path / "a*.json"))
    assert run(*before, "--after", str(tmp_path / "b*.json")).exit_code == 5
    assert run(*before, "--after", str(tmp_path / "c*.json")).exit_code == 6
    assert run(*before, "--after", str(tmp_path / "c*.json"), "--metric", "total*").exit_code == 0


def test_threshold_is_written_either_way_and_decides(tmp_path: Path) -> None:
    noisy = options(tmp_path, (100.0, 101.0, 99.0), (100.5, 101.5, 99.5))
    assert run(*noisy, "--threshold", "10%").exit_code == 0
    assert run(*noisy, "--threshold", "0.1").exit_code == 0
    assert run(*noisy, "--threshold", "2.5%").exit_code == 4


def test_a_change_below_the_floor_does_not_count(tmp_path: Path) -> None:
    small = options(tmp_path, TIGHT, [1.03 * each for each in (100.1, 99.8, 100.0)])
    assert run(*small).exit_code == 3
    assert run(*small, "--floor", "4%", "--threshold", "6%").exit_code == 0


def test_a_wrong_command_gets_one_sentence(tmp_path: Path) -> None:
    a, b = files(tmp_path, "a", (1.0,)) + files(tmp_path, "b", (2.0,))
    result, copy = tmp_path / "result.json", tmp_path / "copy.json"
    for path in (result, copy):
        path.write_text('{"results": [{"command": "ls", "median": 0.25}]}')
    assert usage() == "--before names no file; give the results of both sides"
    assert usage("--before", a) == "--after names no file; give the results of both sides"
    assert "belongs to no side; write --before or --after before each file" in usage("--before", a, b, "--after", b)
    copied = usage("--before", str(result), "--after", str(copy))
    assert copied == f"{copy} has the same content as {result}; give each run once"
    assert usage("--before", a, "--before", a, "--after", b) == f"{a} is given twice; give each run once"
    itself = f"{a} is on both sides, so that one file is judged by itself; give each run once"
    assert usage("--before", a, "--after", b, "--after", a) == itself
    assert "is no file and no pattern that fits one" in usage("--before", str(tmp_path / "x*"), "--after", b)
    assert "is a folder; name its files" in usage("--before", str(tmp_path), "--after", b)
    assert "--threshold 'five' is not a share" in usage("--before", a, "--after", b, "--threshold", "five")
    assert "must lie above the floor" in usage("--before", a, "--after", b, "--threshold", "0.5%")
    assert "--confidence '99' is not a share" in usage("--before", a, "--after", b, "--confidence", "99")
    assert usage("--before", a, "--after", b, "--format", "vlm").endswith("; did you mean vllm?")
    assert "no metric fits 'decode'; there are encode" in usage("--before", a, "--after", b, "--metric", "decode")


def test_help_documents_every_option() -> None:
    text = run("--help").output
    for option in ("--before", "--after", "--format", "--metric", "--threshold", "--floor", "--confidence", "--json"):
        assert option in text


def test_reports_are_written(tmp_path: Path) -> None:
    page = tmp_path / "report.md"
    result = run(*options(tmp_path, TIGHT, (110.1, 109.8, 110.0)), "--markdown", str(page))
    assert result.exit_code == 3
    assert "vlbench judge: regressed\n" in page.read_text(encoding="utf-8")
    assert "metric" in result.output
    sentence = usage(*options(tmp_path, TIGHT, TIGHT), "--csv", "nowhere/a.csv")
    assert sentence.startswith("--csv nowhere/a.csv: the folder nowhere does not exist")


def test_totals_of_three_runs_are_inconclusive_and_say_how_many_would_do(tmp_path: Path) -> None:
    for side, totals in {"a": (9154, 9396, 10242), "b": (12450, 12097, 11949)}.items():
        for number, total in enumerate(totals):
            (tmp_path / f"{side}{number}.csv").write_text(f"name,value,unit\ntotal,{total},tokens/s\n")
    result = run("--before", str(tmp_path / "a*"), "--after", str(tmp_path / "b*"))
    assert result.exit_code == 4
    words = " ".join(result.output.split())
    assert "total 9,586/s 12,160/s +26.9 [-1.9, +64.1]" in words
    assert "about 5 runs a side would do" in words


def test_printed_tables_are_read_as_pasted(tmp_path: Path) -> None:
    from tests.readers.samples import PRINTED

    pasted = "\n".join(f"> {line}" for table in PRINTED for line in ("```", *table.splitlines(), "```"))
    (tmp_path / "before.md").write_text(pasted)
    slower = PRINTED[0].replace("12450.07", "9154.00"), PRINTED[1].replace("12096.72", "9,396.00")
    (tmp_path / "after.md").write_text("\n".join([*slower, PRINTED[2].replace("11949.28", "10242.00")]))
    sides = ("--before", str(tmp_path / "before.md"), "--after", str(tmp_path / "after.md"))
    found = run(*sides, "--metric", "total_throughput", "--json")
    assert (found.exit_code, json.loads(found.output)["rows"][0]["before"]) == (4, pytest.approx(12163.5, abs=0.1))
    lossy = [table.replace("requests:                     505", "requests: 480") for table in PRINTED]
    lossy = [re.sub("Benchmark duration.*\n", "", table) for table in lossy]
    (tmp_path / "after.md").write_text("\n".join(lossy))
    found = run(*sides)
    assert found.exit_code == 5
    assert "480 requests were completed in one run and 505 in another" in " ".join(found.output.split())


def test_accuracies_of_900_questions_are_told_apart_by_4_6_points(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("{'Overall': {'acc': 0.519, 'num': 900}}\n")
    (tmp_path / "b.txt").write_text("{'Overall': {'acc': 0.516, 'num': 900}}\n")
    result = run("--before", str(tmp_path / "a.txt"), "--after", str(tmp_path / "b.txt"))
    assert result.exit_code == 4
    assert "not distinguishable: -0.3 points, +-4.6 (95%) of 900 answers" in " ".join(result.output.split())


def test_an_unknown_key_is_named_and_no_pass(tmp_path: Path) -> None:
    from tests.readers.test_readers import VLLM

    for number in range(3):
        content = {**VLLM, "request_throughput": 17.25 + number / 1000}
        (tmp_path / f"a{number}.json").write_text(json.dumps(content | {"date": "1"}))
        (tmp_path / f"b{number}.json").write_text(json.dumps(content | {"date": "2", "warp_factor": 9}))
    sides = ("--before", str(tmp_path / "a*"), "--after", str(tmp_path / "b*"), "--metric", "request_t*")
    assert run(*sides).exit_code == 0
    result = run(*sides, "--metric", "warp*")
    assert result.exit_code == 4
    assert "warp_factor; name what to judge with --metric" in " ".join(result.output.split())
