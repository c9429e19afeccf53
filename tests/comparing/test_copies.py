"""A run that is given twice is one run, whatever its format and its bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.readers.samples import HISTORY, LATENCY_PRINTED, LIST, PRINTED, THROUGHPUT_PRINTED
from tests.readers.test_readers import HYPERFINE, VLLM
from vlbench.comparing.runs import read_sides
from vlbench.errors import UsageError

SAMPLES = "name,value\n" + "".join(f"a_ms,{each}\n" for each in (1.2345, 1.3456, 1.4567))
SERVED = {**VLLM, "request_throughput": 17.2534}


def files(folder: Path, *texts: str) -> list[str]:
    paths = [folder / f"file{place}" for place, _ in enumerate(texts)]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text, encoding="utf-8")
    return [str(path) for path in paths]


@pytest.mark.parametrize(
    ("texts", "where"),
    [
        ([json.dumps(LIST)] * 2, "1"),
        ([json.dumps(LIST), json.dumps(LIST, indent=1)], "1"),
        (["window.BENCHMARK_DATA = " + json.dumps(HISTORY)] * 2, "1"),
        ([json.dumps(HYPERFINE), json.dumps(HYPERFINE) + "  "], "1"),
        ([json.dumps(HYPERFINE), "\ufeff" + json.dumps(HYPERFINE)], "1"),
        ([THROUGHPUT_PRINTED] * 2, "1"),
        ([LATENCY_PRINTED * 2], "0 block 2"),
        ([PRINTED[0] * 2], "0 table 2"),
        ([SAMPLES] * 2, "1"),
        (["\n".join([json.dumps(SERVED), json.dumps({**SERVED, "date": "20250102-000000"})])], "0 result 2"),
    ],
)
def test_a_copy_on_one_side_is_no_other_run(tmp_path: Path, texts: list[str], where: str) -> None:
    with pytest.raises(UsageError, match=rf"file{where} has the same (content|figures) as .*file0.*; give each run"):
        read_sides(files(tmp_path, *texts), [])


@pytest.mark.parametrize("metrics", [{"size_bytes": 123456789}, {"a_ms": 12.5}, {"a_ms": 12.5, "b_ms": 0.75}])
def test_counts_and_short_figures_repeat_by_chance(tmp_path: Path, metrics: dict[str, Any]) -> None:
    text = "name,value\n" + "".join(f"{name},{value}\n" for name, value in metrics.items())
    assert len(read_sides(files(tmp_path, text, text), [])[0]) == 2


def test_what_is_exact_may_be_the_same_on_both_sides(tmp_path: Path) -> None:
    before, after = files(tmp_path, "loss,0.123456789\n", "loss,0.123456789\n")
    assert [len(each) for each in read_sides([before], [after])] == [1, 1]


def test_a_run_on_both_sides_is_one_run(tmp_path: Path) -> None:
    table = "name,value,unit\n" + "".join(f"t{each},{each + 0.5},ms\n" for each in range(6))
    before, after = files(tmp_path, table, table + "\n")
    with pytest.raises(UsageError, match=r"file1 has the same figures as .*file0 in all that is judged; give each run"):
        read_sides([before], [after])
