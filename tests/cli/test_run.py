from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from xml.etree.ElementTree import parse

import pandas as pd
import pytest

from tests.cli.conftest import Vlbench
from tests.trial.plans import MIN_ROUNDS, MISBEHAVING, python_path
from vlbench.record.files import read_results
from vlbench.record.schema import Results

SMALL = ("run", "--device", "cpu", "--scenario", "small.toml", "--budget", "1")


def test_a_wrong_variant_fails_and_has_no_time(folder: Path) -> None:
    """From the shell to the exit status, with a flag that is quick and wrong."""
    done = subprocess.run(
        [sys.executable, "-m", "vlbench", *SMALL, "--no-card", "--with", "wrong-cos", "--with", "no-einops"],
        env=os.environ | {"PYTHONPATH": python_path(MISBEHAVING), "COLUMNS": "80", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 5, done.stderr
    wrong, complaint = (line for line in done.stdout.splitlines() if line.startswith("wrong-cos"))
    name, exactness, _, milliseconds, speedup, *_ = wrong.split()
    assert (name, exactness, milliseconds, speedup) == ("wrong-cos", "bit-exact", "-", "FAIL")
    assert complaint.startswith("wrong-cos: FAIL: not bit-exact in fp32: error ")
    assert "worst token: item " in done.stdout.replace("\n", " ")

    (group,) = read_results(folder / "vlbench-small.json").groups
    trial, *_ = group.trials  # another may have measured again what stood out
    timed = {variant.name: len(variant.timings) for variant in trial.variants}
    assert timed == {"baseline": 1, "wrong-cos": 0, "no-einops": 1}
    failed = trial.find("wrong-cos")
    assert failed
    assert failed.accuracy
    assert failed.accuracy.worst_token


@pytest.mark.slow
def test_what_keeps_nothing_is_not_said_to_hold_results(vlbench: Vlbench, folder: Path) -> None:
    ended = vlbench(*SMALL, "--no-card", "--with", "exact", "--out", "/dev/null")
    assert (ended.code, "vlbench.load" in ended.out, "--resume" in ended.out) == (0, False, False)


@pytest.mark.slow
def test_a_timeout_keeps_what_came_and_strikes_nobody(vlbench: Vlbench, folder: Path) -> None:
    ended = vlbench(
        "run", "--device", "cpu", "--scenario", "multi-image", "--timeout", "14", "--no-card", "--no-counts"
    )
    (group,) = read_results(folder / "vlbench-multi-image.json").groups
    found = group.trials[0].variants
    assert found[0].timings
    assert {each.left for each in found if not each.timings} <= {True}  # nobody is struck
    assert ended.code == (6 if any(each.left for trial in group.trials for each in trial.variants) else 0)


def test_a_run_as_json_its_file_and_what_came_before(vlbench: Vlbench, folder: Path) -> None:
    """Two runs: the first in JSON, the second as tables, compared with the first."""
    ended = vlbench(*SMALL, "--with", "rope-cache", "--with", "exact", "--json")
    assert ended.code == 0, ended
    results = Results.model_validate_json(ended.out)
    assert read_results(folder / "vlbench-small.json") == results
    assert results.command.startswith("vlbench run --device cpu")
    assert results.complete
    (group,) = results.groups
    assert [row.name for row in group.rows] == ["baseline", "rope-cache", "exact"]
    assert "pinned-h2d" in group.rows[2].left_out
    rounds = {len(variant.timings["warm"].seconds) for variant in group.trials[0].variants}
    assert rounds.pop() >= MIN_ROUNDS
    assert not rounds
    assert sorted(path.name for path in folder.iterdir()) == ["small.toml", "vlbench-small.json"]

    assert results.machine is not None
    files = [part for name in ("csv", "junit", "markdown", "svg") for part in (f"--{name}", f"a.{name}")]
    assert vlbench("show", "vlbench-small.json", *files).code == 0
    table = pd.read_csv(folder / "a.csv").set_index("variant")
    taken = [each for trial in group.trials for each in trial.variants]  # a row that stands out is measured twice
    assert table["seconds"].to_dict() == {
        row.name: median(median(each.timings["warm"].seconds) for each in taken if each.name == row.name)
        for row in group.rows
    }
    assert parse(folder / "a.junit").getroot().attrib["failures"] == "0"
    assert "| variant |" in (folder / "a.markdown").read_text()
    assert "<svg" in (folder / "a.svg").read_text()

    again = (*SMALL, "--no-card", "--with", "exact", "--seed", "1")
    ended = vlbench(*again, "--against", "vlbench-small.json", "--out", "b.json")
    assert ended.code == 0
    assert all(line.startswith("small: about ") for line in ended.err.splitlines())  # the estimate of a slow machine
    assert max(map(len, ended.out.splitlines())) <= 80
    now, before = ended.out.split("\nvlbench diff: ")
    assert any(line.startswith("exact ") and "bit-exact" in line for line in now.splitlines())
    judged = vlbench("diff", "vlbench-small.json", "b.json")
    assert judged.code == 6  # of other seeds, and one variant is left out
    assert f"vlbench diff: {before}".startswith(judged.out)
    shown = [line.split()[3] for line in before.splitlines() if line.startswith("MISSING time: ")]
    assert sorted(shown) == ["exact", "rope-cache"]
    assert read_results(folder / "b.json").groups[0].seed == 1

    ended = vlbench("show", "b.json")
    assert ended.code == 0
    assert "exact" in ended.out


@pytest.mark.slow
def test_a_plan_handed_in_is_told_in_every_format(vlbench: Vlbench, folder: Path) -> None:
    ended = vlbench(*SMALL, "--no-card", "--with", "rope-shared", "--plan", "--csv", "a.csv")
    assert ended.code == 0, ended
    assert "A plan handed in is not offered by baseline." in ended.out
    title = "ms with the plan made inside the call, or before it: on the device, or with lengths on the host"
    assert title in " ".join(ended.out.split())
    assert max(map(len, ended.out.splitlines())) <= 80
    (group,) = read_results(folder / "vlbench-small.json").groups
    plans = {row.name: row.plan for row in group.rows}
    assert plans == {
        "baseline": "inside",
        "rope-shared": "inside",
        "rope-shared plan=device": "device",
        "rope-shared plan=host": "host",
    }
    table = pd.read_csv(folder / "a.csv").set_index("variant")
    assert table["plan"].dropna().to_dict() == {name: plan for name, plan in plans.items() if name != "baseline"}
    for name, plan in plans.items():
        timing = group.trials[0].variants[list(plans).index(name)].timings["warm"]
        assert len(timing.plan_seconds) == (0 if plan == "inside" else len(timing.seconds))
        if plan != "inside":
            assert table["with_plan_seconds"][name] == table["seconds"][name] + table["plan_seconds"][name]


def test_a_plan_that_nothing_takes_is_a_wrong_option(vlbench: Vlbench, folder: Path) -> None:
    ended = vlbench(*SMALL, "--with", "baseline", "--plan")
    assert (ended.code, "--plan: handing a plan in is not offered by baseline" in ended.err) == (2, True)
    ended = vlbench("run", "--seam", "rope", "--plan")
    assert (ended.code, "--plan is about a whole tower, and --seam measures seams alone" in ended.err) == (2, True)
