"""`vlbench plan`, `run --plan` and `merge`, from their arguments to their exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import vlbench as package
from tests.cli.conftest import Vlbench
from tests.matrix.planned import lines, part, written
from vlbench.api.planning import Planned
from vlbench.record.files import read_results
from vlbench.record.plan_file import plan_text, read_plan
from vlbench.record.schema import Results

MATRIX = """
scenario = ["small.toml", "one.toml"]
with = "exact"
dtype = ["float32", "bfloat16"]
device = "cpu"
budget = 60
"""
ONE = 'title = "One"\nstands_for = "a test"\nsource = "noise"\n[[item]]\ngrid = "4x4"\n'


def counters(results: Results) -> str:
    """All counts of all rows, group by group, as one text."""
    return json.dumps(
        [
            (group.key, trial.number, row.name, row.counts and row.counts.model_dump())
            for group in results.groups
            for trial in group.trials
            if not trial.confirms
            for row in trial.variants
        ]
    )


@pytest.fixture
def matrix(folder: Path) -> Path:
    (folder / "one.toml").write_text(ONE)
    (folder / "matrix.toml").write_text(MATRIX)
    return folder / "matrix.toml"


def test_a_plan_of_one_group_and_one_trial_is_called_so() -> None:
    first = lines(1)[0]
    assert Planned((first,)).title == f"plan {first.plan}: 1 group, 2 trials of each"
    assert Planned((first.model_copy(update={"groups": 3, "trials": 1}),)).title.endswith(": 3 groups, 1 trial of each")


def test_a_matrix_as_a_file_and_as_options_is_one_plan(vlbench: Vlbench, matrix: Path) -> None:
    printed = vlbench("plan", "matrix.toml").out
    first, *others = map(json.loads, printed.splitlines())
    assert len(others) == 3
    assert [first[name] for name in ("scenario", "dtype", "trial", "trials", "groups")] == ["small", "float32", 1, 1, 4]
    assert first["needs"] == {"device": "cpu", "packages": []}
    assert first["command"] == "vlbench run --plan plan.jsonl --shard 1/4"
    options = "--scenario small.toml --scenario one.toml --with exact --dtype float32 --dtype bfloat16 --device cpu"
    ended = vlbench("plan", *options.split(), "--budget", "60", "-o", "plan.jsonl")
    assert Path("plan.jsonl").read_text() == printed
    assert "4 lines, at most 240 s in all" in ended.out
    assert json.loads(vlbench("plan", "matrix.toml", "--json").out) == list(map(json.loads, printed.splitlines()))
    assert package.plan("matrix.toml").record == tuple(read_plan(Path("plan.jsonl")))


def test_a_gpu_that_is_not_here_can_be_planned_for(vlbench: Vlbench, folder: Path) -> None:
    ended = vlbench("plan", "--device", "cuda", "--trials", "5")
    found = [json.loads(line) for line in ended.out.splitlines()]
    assert len(found) == 5
    assert found[0]["needs"]["device"] == "cuda"
    assert (found[0]["model"], found[0]["seconds"]) == ("qwen2.5-vl-7b", 300)


def test_what_engines_run_is_printed(vlbench: Vlbench, matrix: Path) -> None:
    ended = vlbench("plan", "matrix.toml", "-o", "plan.jsonl", "--github", "--shards", "2")
    assert json.loads(ended.out)["jobs"]["shard"]["strategy"]["matrix"]["shard"] == [1, 2]
    assert len(read_plan(Path("plan.jsonl"))) == 4
    wrong = {
        "--slurm": "--slurm prints what runs a plan that is kept; add --out plan.jsonl",
        "--shards 2": "--shards says nothing without --github",
        "--slurm --json": "--slurm and --json: each is all that is printed",
        "--slurm --shards 5 -o b.jsonl": "--shards 5: the plan has 4 groups, which stay whole; take 1 to 4 parts",
    }
    for options, told in wrong.items():
        assert told in vlbench("plan", "matrix.toml", *options.split()).sentence


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("trails = 5", "matrix.toml: trails: Extra inputs are not permitted; its keys are scenario, model"),
        ('trials = "5"', "matrix.toml: trials: Input should be a valid integer"),
        ("trials = 0", "--trials: 0 is not a whole number from 1"),
        ("budget = 0", "--budget: 0.0 is not a number from"),
        ("with = 3", "matrix.toml: variant: Input should be a valid"),
        ('with = "no-such"', "no-such"),
        ("with = [", "matrix.toml: not TOML"),
    ],
)
def test_a_matrix_that_is_none_is_refused(vlbench: Vlbench, folder: Path, text: str, told: str) -> None:
    (folder / "matrix.toml").write_text(text)
    assert told in vlbench("plan", "matrix.toml").sentence


def test_a_plan_that_would_be_another_one_here_is_refused(
    vlbench: Vlbench, matrix: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert vlbench("plan", "matrix.toml", "-o", "plan.jsonl").code == 0
    assert "--shard 5/4" in vlbench("run", "--plan", "plan.jsonl", "--shard", "5/4").sentence
    assert "--seed says nothing beside --plan-file" in vlbench("run", "--plan", "plan.jsonl", "--seed", "1").sentence
    text = Path("one.toml").read_text()
    Path("one.toml").write_text(text.replace("4x4", "4x6"))
    ended = vlbench("run", "--plan", "plan.jsonl", "--shard", "1/4")
    assert (ended.code, "line 3 (one qwen2.5-vl-tiny float32 cpu, trial 1 of 1) would be" in ended.err) == (6, True)
    Path("one.toml").write_text(text)
    monkeypatch.setattr("vlbench.api.planning.__version__", "9.9")
    ended = vlbench("run", "--plan", "plan.jsonl", "--shard", "1/4")
    assert (ended.code, "and this is 9.9; install that one, or print the plan again" in ended.err) == (6, True)


def test_parts_are_put_together_and_machines_beside_each_other(vlbench: Vlbench, folder: Path) -> None:
    plan = lines(4)
    Path("plan.jsonl").write_text(plan_text(plan))
    parts = {"a": part(plan, "1/2", 1, 3), "b": part(plan, "2/2", 2, 4, seconds=0.03)}
    a, b = written(folder, **parts)
    ended = vlbench("merge", "--expect", "plan.jsonl", a, b, "-o", "merged.json")
    assert ended.code == 0, ended
    assert max(map(len, ended.out.splitlines())) <= 80
    assert "host-1" in ended.out
    assert "A/A cell: the largest of these is +50.0 % over the smallest." in ended.out
    again = ("merge", "--expect", "plan.jsonl", a, b, "-o", "merged.json")
    assert [vlbench(*again).code, vlbench(*again, "--force").code] == [2, 0]
    whole = read_results(Path("merged.json"))
    assert [group.point for group in whole.groups] == ["n=1", "n=2", "n=3", "n=4"]
    assert "host-2" in vlbench("show", "merged.json").out
    assert vlbench("diff", "merged.json", "merged.json").code in (0, 4, 6)
    assert package.merge("plan.jsonl", [a, b]).record.groups == whole.groups

    ended = vlbench("merge", "--expect", "plan.jsonl", a)
    assert (ended.code, "line 3 (multi-image [n=2]" in ended.err) == (6, True)
    ended = vlbench("merge", "--expect", "plan.jsonl", a, a)
    assert (ended.code, "a.json is named twice" in ended.err) == (2, True)
    b.write_text(b.read_text()[:-500])
    assert "b.json: not JSON" in vlbench("merge", "--expect", "plan.jsonl", a, b).sentence


@pytest.mark.slow
def test_two_parts_count_what_one_run_counts(vlbench: Vlbench, matrix: Path) -> None:
    text = MATRIX.replace('["float32", "bfloat16"]', '"float32"').replace("60", "30")
    matrix.write_text(text)
    assert vlbench("plan", "matrix.toml", "-o", "plan.jsonl").code == 0
    for shard in ("1/2", "2/2"):
        ended = vlbench("run", "--plan", "plan.jsonl", "--shard", shard, "--no-card")
        assert ended.code == 0, ended
    single = package.run_plan("plan.jsonl", card=False, progress=False)
    parts = ["vlbench-shard-1-of-2.json", "vlbench-shard-2-of-2.json"]
    whole = package.merge("plan.jsonl", parts)
    assert counters(whole.record) == counters(single.record)
    assert counters(whole.record).count('"aten_operations"') == 4
    for shard in whole.record.shards:
        assert shard.end is not None
        assert len(shard.begin.reference.seconds) >= 6


def test_a_plan_may_hold_names_with_what_some_take_for_the_end_of_a_line(folder: Path) -> None:
    plan = lines(2, scenario="a\u2028b\x85c.toml")
    Path("plan.jsonl").write_text(plan_text(plan))
    assert read_plan(Path("plan.jsonl")) == plan
    Path("plan.jsonl").write_bytes(plan_text(plan).replace("\n", "\r\n").encode())
    assert read_plan(Path("plan.jsonl")) == plan
