"""`vlbench diff` from its arguments to its exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Vlbench
from tests.gating.timings import measured
from tests.readers.test_readers import VLLM
from tests.record.records import results
from vlbench.record.files import write_results


@pytest.fixture(autouse=True)
def files(folder: Path) -> None:
    for name, ratios in {"a": [0.8] * 5, "slow": [0.88] * 5, "few": [0.8]}.items():
        write_results(results(measured(*ratios)), folder / f"{name}.json")


@pytest.mark.parametrize(
    ("new", "options", "code"), [("a", [], 0), ("slow", [], 3), ("few", [], 4), ("few", ["--allow-inconclusive"], 0)]
)
def test_the_status_is_that_of_the_rows(vlbench: Vlbench, new: str, options: list[str], code: int) -> None:
    ended = vlbench("diff", "a.json", f"{new}.json", *options, "--json")
    assert (ended.code, ended.json()["exit_code"]) == (code, code)
    assert ended.json()["command"] == "diff"
    assert [row["measure"] for row in ended.json()["rows"]] == ["time", "counters"]


def test_a_person_reads_what_moved(vlbench: Vlbench) -> None:
    ended = vlbench("diff", "a.json", "slow.json")
    assert "REGRESSED time: qwen2.5-vl-tiny host-grid multi-image float32" in ended.out
    assert "0.8 x the reference -> 0.88 x the reference, +10.0 %" in " ".join(ended.out.split())
    assert ended.out.rstrip().endswith("exit code 3")


def test_files_that_have_nothing_in_common(vlbench: Vlbench, folder: Path) -> None:
    write_results(results(), folder / "empty.json")
    ended = vlbench("diff", "a.json", "empty.json")
    assert ended.code == 6
    assert ended.err.startswith("error: a.json holds 1 timed cell (")


def test_a_goal_that_cannot_be_written_is_told_first(vlbench: Vlbench) -> None:
    assert vlbench("diff", "a.json", "a.json", "--csv", "no/such/rows.csv").sentence.startswith(
        "--csv no/such/rows.csv"
    )


@pytest.mark.parametrize(("change", "code"), [({"failed": 3, "completed": 197}, 5), ({"request_rate": 7.0}, 6)])
def test_lost_requests_are_inaccurate_and_other_conditions_do_not_compare(
    vlbench: Vlbench, folder: Path, change: dict[str, object], code: int
) -> None:
    for run in range(3):
        for side, more in {"a": {}, "b": change}.items():
            content = {**VLLM, "request_throughput": 10.0 + run / 100 + len(more) / 1000, "duration": None, **more}
            (folder / f"{side}{run}.json").write_text(json.dumps(content))
    ended = vlbench("judge", "--before", "a[0-9].json", "--after", "b[0-9].json", "--json")
    assert (ended.code, ended.json()["exit_code"]) == (code, code)
    if "request_rate" in change:
        ended = vlbench("judge", "--before", "a[0-9].json", "--after", "b[0-9].json", "--compare", "request_rate")
        assert ended.code in (0, 3, 4)
        assert "meant to differ, and compared: request_rate is" in " ".join(ended.out.split())
