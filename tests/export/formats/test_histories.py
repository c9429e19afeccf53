"""What goes to tools that keep histories: each format by a strict model, all figures with the right unit and way."""

from __future__ import annotations

import json
import re
from io import BytesIO
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, TypeAdapter

from tests.export.groups import quick_look, voted
from tests.export.judged_examples import ANYTHING, anything, counted, one_of_everything, timed
from tests.record.records import results
from vlbench.cli.reporting import check_goals
from vlbench.errors import UsageError
from vlbench.export import registry
from vlbench.export.figures import figures_of, measures
from vlbench.export.formats import exporters
from vlbench.export.formats.csv import COLUMNS
from vlbench.export.registry import text_of
from vlbench.export.results import results_sheet
from vlbench.export.sheet import Cell, Sheet, Table, compared
from vlbench.judging.judged import Judged, JudgedRow
from vlbench.judging.verdict import Verdict
from vlbench.readers import read
from vlbench.record.directions import Better

RUN = results_sheet(results(quick_look(), voted()))
COMPARISON = compared(one_of_everything())
UNCOUNTED = Cell("not counted", None)
SIZES = [
    ("mine", 7, Cell("2 (96 B)", {"uploads": 2, "upload_bytes": 96}), 2.5, Cell("-", None)),
    ("broken", UNCOUNTED, "", "", ""),
]
TABLES = Sheet(
    "vlbench count",
    [Table("counts", ["variant", "host_syncs", "uploads", "odd", "seconds"], SIZES, facts={"dtype": "bfloat16"})],
)


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Bmf(Strict):
    """https://bencher.dev/bmf.json"""

    value: FiniteFloat
    lower_value: FiniteFloat | None = None
    upper_value: FiniteFloat | None = None


class Custom(Strict):
    """An entry of `customSmallerIsBetter`, as the action's README has it."""

    name: str = Field(min_length=1)
    unit: str
    value: FiniteFloat
    range: str | None = None
    extra: str | None = None


class HudBenchmark(Strict):
    name: str = Field(min_length=1)
    mode: str
    dtype: str
    extra_info: dict[str, str]


class HudModel(Strict):
    name: str = Field(min_length=1)
    type: str


class HudMetric(Strict):
    name: str = Field(min_length=1)
    benchmark_values: list[FiniteFloat] = Field(min_length=1)
    extra_info: dict[str, str]


class Hud(Strict):
    """A row of `oss_ci_benchmark_v3` as far as a benchmark writes it itself; its maps hold texts alone."""

    benchmark: HudBenchmark
    model: HudModel
    metric: HudMetric


ADAPTERS: dict[str, TypeAdapter[Any]] = {
    "bencher": TypeAdapter(dict[str, dict[str, Bmf]]),
    "hud": TypeAdapter(list[Hud]),
    "smaller-is-better": TypeAdapter(list[Custom]),
    "bigger-is-better": TypeAdapter(list[Custom]),
}
HELP = re.compile(r"# HELP ([a-z_:][a-z0-9_:]*) [^\\\n]+")
SAMPLE = re.compile(r'([a-z_:][a-z0-9_:]*)\{((?:[a-z_]\w*="(?:[^"\\\n]|\\["\\n])*",?)*)\} (\S+)')


def written(name: str, sheet: Sheet) -> Any:
    return ADAPTERS[name].validate_json(text_of(sheet, exporters()[name]))


def samples(sheet: Sheet) -> list[tuple[str, str, float]]:
    """By the grammar of the format: a block for each metric, its HELP and TYPE before all of its samples."""
    text = text_of(sheet, exporters()["prometheus"])
    assert isinstance(text, str)
    assert text.endswith("\n") or not text
    found, name, known = [], "", set()
    for each in text.splitlines():
        if helped := HELP.fullmatch(each):
            name = helped[1]
            assert name not in known
            known.add(name)
        elif sample := SAMPLE.fullmatch(each):
            assert sample[1] == name
            found.append((name, sample[2], float(sample[3])))
        else:
            assert each == f"# TYPE {name} gauge" or each.startswith("# left out: ")
    assert len({each[:2] for each in found}) == len(found)
    return found


@pytest.mark.parametrize("sheet", [RUN, COMPARISON, TABLES], ids=["run", "comparison", "tables"])
def test_each_is_as_its_tool_has_it(sheet: Sheet) -> None:
    for name in ADAPTERS:
        assert written(name, sheet) or name == "bigger-is-better"
    assert samples(sheet)


@anything
@given(ANYTHING)
def test_whatever_was_compared_is_valid(judged: Judged) -> None:
    sheet = compared(judged)
    for name in ADAPTERS:
        written(name, sheet)
    found = samples(sheet)
    names = {name for name, *_ in found}
    assert len(found) == len(figures_of(sheet).found)
    known = {*measures(), "metric", "prediction", "relative_time"}
    assert {name.removeprefix("vlbench_") for name in names} <= known


def test_units_and_directions_are_right() -> None:
    seconds = 0.0105
    found = [each for each in figures_of(RUN).found.values() if (each.subject, each.name) == ("best", "seconds")]
    (best,) = [each for each in found if "point" not in each.labels]
    assert best.value == pytest.approx(0.5 * seconds)
    assert written("bencher", RUN)[best.full_name]["latency"].value == pytest.approx(0.5 * seconds * 1e9)
    assert ("vlbench_seconds", 'name="best"') in {(name, labels.split(",")[0]) for name, labels, _ in samples(RUN)}
    assert {each.name.rpartition(": ")[2] for each in written("bigger-is-better", RUN)} == {"speed up"}
    small = {each.name.rpartition(": ")[2]: each.unit for each in written("smaller-is-better", RUN)}
    counts = {"aten operations": "count", "attention calls": "count"}
    assert small == {"fp32 error": "ratio", "seconds": "s", "first seconds": "s"} | counts
    ways = {each.metric.name: each.metric.extra_info["better"] for each in written("hud", RUN)}
    assert {name for name, way in ways.items() if way == "higher"} == {"speed_up"}
    speed_up = written("bencher", RUN)[best.full_name]["speed-up"]
    assert speed_up.lower_value <= speed_up.value <= speed_up.upper_value


def test_a_rate_is_no_cost() -> None:
    usual = timed(Verdict.REGRESSED, "tokens", 1.25, before=100.0, after=80.0, unit="tok/s", better="higher")
    rate = usual.model_copy(update={"measure": "metric"})
    sheet = compared(one_of_everything(rows=(rate,)))
    assert [(each.unit, each.value) for each in written("bigger-is-better", sheet)] == [("tok/s", 80.0)]
    assert [each.value for each in written("smaller-is-better", sheet)] == [1.25]
    (metric, cost) = written("hud", sheet)
    assert (metric.metric.extra_info["better"], cost.metric.name) == ("higher", "cost_ratio")


def test_what_is_unknown_is_left_out_and_named_and_never_zero() -> None:
    figures = figures_of(TABLES)
    assert {(each.subject, each.name): each.value for each in figures.found.values()} == {
        ("mine", "host_syncs"): 7, ("mine", "uploads"): 2, ("mine", "upload_bytes"): 96,
    }  # fmt: skip
    assert figures.left_out == ["not for a history: odd", "not measured: seconds of mine, host_syncs of broken"]
    for name in ("bencher", "hud", "smaller-is-better", "prometheus"):
        assert "host_syncs of broken" in exporters()[name].left_out(TABLES)
    text = str(text_of(TABLES, exporters()["prometheus"]))
    assert "# left out: not measured: seconds of mine, host_syncs of broken" in text
    assert exporters()["bigger-is-better"].left_out(TABLES) == "holds no figure of which higher is better"
    infinite = timed(Verdict.REGRESSED, "x", float("inf"))
    assert figures_of(compared(one_of_everything(rows=(infinite,)))).found == {}


def test_times_of_a_wrong_result_are_never_written() -> None:
    names = {each.subject for each in figures_of(RUN).found.values() if each.name not in ("fp32_error", "timed_error")}
    assert names == {"baseline", "host-grid", "host-seqlens+window-sort+batched-windows", "no-einops", "best"}
    assert any(told.startswith("inaccurate: window-sort") for told in figures_of(RUN).left_out)
    wrong = JudgedRow(cell="a", measure="accuracy", verdict=Verdict.INACCURATE, reason="far off")
    rows = (wrong, timed(Verdict.IMPROVED, "a", 0.5), timed(Verdict.SAME, "b", 1.0))
    assert {each.subject for each in figures_of(compared(one_of_everything(rows=rows))).found.values()} == {"b"}
    everything = wrong.model_copy(update={"cell": "all metrics"})
    assert not figures_of(compared(one_of_everything(rows=(everything, *rows[1:])))).found
    faster = Table("variants", ["variant", "passed", "seconds"], [("x", False, 0.1), ("y", True, 0.2)])
    assert [each.subject for each in figures_of(Sheet("t", [faster])).found.values()] == ["y"]
    told = Table("variants", ["variant", "seconds"], [("x", 0.1)], facts={"scenario": "video", "point": "n=2"})
    judged = one_of_everything(rows=(wrong.model_copy(update={"cell": "x video [n=2]: tiny"}),))
    assert not figures_of(Sheet("t", [told], judged)).found


def test_our_own_reader_of_the_actions_lists_agrees(tmp_path: Path) -> None:
    rows = (timed(Verdict.SAME, "a tower", 1.0), counted(Verdict.SAME))
    file = tmp_path / "list.json"
    entries = json.loads(text_of(compared(one_of_everything(rows=rows)), exporters()["smaller-is-better"]))
    file.write_text(json.dumps([each for each in entries if each["unit"] == "s"]))
    (run,) = read(str(file))
    assert [(each.value, each.unit, each.better) for each in run.metrics.values()] == [(0.0123, "s", Better.LOWER)]


def test_labels_are_escaped() -> None:
    awkward = 'C:\\towers "wide" {a="b"}\nx\x1b[2J'
    table = Table("variants", ["variant", "seconds"], [(awkward, 0.5)])
    ((name, labels, value),) = samples(Sheet("t", [table]))
    assert (name, labels, value) == ("vlbench_seconds", r'name="C:\\towers \"wide\" {a=\"b\"} x [2J"', 0.5)


def test_prometheus_own_parser_reads_it() -> None:
    parser = pytest.importorskip("prometheus_client.parser")
    for sheet in (RUN, COMPARISON, TABLES):
        families = list(parser.text_string_to_metric_families(text_of(sheet, exporters()["prometheus"])))
        assert {each.type for each in families} == {"gauge"}
        assert all(each.documentation for each in families)
        assert sum(len(each.samples) for each in families) == len(samples(sheet))


def test_parquet_keeps_types_and_does_not_know_what_is_not_known() -> None:
    pytest.importorskip("pyarrow")

    def table(sheet: Sheet) -> pd.DataFrame:
        text = text_of(sheet, exporters()["parquet"])
        assert isinstance(text, bytes)
        return pd.read_parquet(BytesIO(text))

    run = table(RUN).set_index(["variant", "point"])
    assert (str(run["aten_operations"].dtype), str(run["seconds"].dtype)) == ("Int64", "Float64")
    assert run["seconds"].loc[("best", "")] == pytest.approx(0.00525)
    assert pd.isna(run["seconds"].loc[("window-sort", "")])
    compared_rows = table(COMPARISON)
    assert list(compared_rows.columns) == [*COLUMNS, "moves"]
    assert compared_rows["ratio"].median() == median([1.001, 0.8, 1.02, 1.09, 1.07])
    assert str(table(TABLES)["upload_bytes"].dtype) == "Int64"
    mixed = [Table("a", ["x", "y"], [("m", 2**70)]), Table("b", ["x", "y"], [("n", "word")])]
    assert list(table(Sheet("t", mixed))["y"]) == [str(2**70), "word"]
    assert table(Sheet("t", mixed[:1]))["y"].tolist() == [float(2**70)]


def test_parquet_without_pyarrow_is_one_sentence_beforehand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"^--parquet: needs pyarrow, .*: pip install 'vlbench\[parquet\]'$"):
        check_goals({"parquet": tmp_path / "rows.parquet"})
