"""`vlbench count` from its arguments to its exit status."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from tests.cli.conftest import Vlbench
from tests.counting import toy_towers
from tests.trial.plans import ROOT, python_path

TINY = "qwen2.5-vl-tiny"
TOYS = "tests.counting.toy_towers"
SMALL = ["--grid", "1x4x6", "--grid", "1x8x4"]


@pytest.fixture(autouse=True)
def _toys_can_be_imported(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", python_path(ROOT))


def here(name: str) -> str:
    """The marked line of a toy, as a site names it."""
    lines = (Path(toy_towers.__file__)).read_text().splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"class {name}("))
    number = next(number for number in range(start, len(lines)) if lines[number].endswith("# HERE"))
    return f"toy_towers.py:{number + 1}: {lines[number].strip()}"


def rows(found: dict[str, Any]) -> dict[str, Any]:
    return {row["name"]: row for group in found["groups"] for row in group["towers"]}


HABITS = {
    "LongestOnDevice": ("read-back", 1, "host-max-seqlen"),
    "MaskAssignment": ("read-back", 1, "merge-host-indices"),
    "UnpinnedUpload": ("upload", 1, "pinned-h2d"),
    "TolistInALoop": ("read-back", 7, "host-seqlens"),
    "BoundsOnDevice": ("read-back", 2, "host-seqlens"),
    "HostIndex": ("implicit upload", 1, "device-pos-ids"),
    "GridItems": ("read-back", 6, "host-grid"),
}
"""What they are seen as: the event, how often, and a flag that removes it."""


def test_each_habit_is_found_with_its_line_its_count_and_its_flag(vlbench: Vlbench) -> None:
    towers = [option for name in HABITS for option in ("--tower", f"{TOYS}:{name}")]
    ended = vlbench("count", *towers, *SMALL, "--json")
    assert ended.code == 0, ended
    found = rows(ended.json())
    for name, (event, times, flag) in HABITS.items():
        sites = [site for site in found[f"{TOYS}:{name}"]["warm"]["sites"] if here(name) in site["where"]]
        assert sum(site["times"] for site in sites) == times
        for site in sites:
            assert (site["event"], site["blocking"]) == (event, True)
            assert site["expression"] in site["where"]
            assert site["advice"]
            assert flag in site["flags"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Unruly", "vlbench_toys::unruly"),
        ("Undeclared", "unknown operation vlbench_toys::counted_up, 1x"),
        ("Solves", "unknown operation aten::linalg_qr, 1x"),
        ("Solves", " not measured not measured not measured"),
        ("compiled", "ran eagerly, so the kernels that compiling would fuse"),
    ],
)
def test_what_cannot_be_counted_is_named_and_ends_with_6(vlbench: Vlbench, name: str, words: str) -> None:
    ended = vlbench("count", "--tower", f"{TOYS}:{name}", *SMALL)
    assert ended.code == 6
    assert words in " ".join(ended.out.split())


def test_a_branch_on_floats_is_counted_with_its_line(vlbench: Vlbench) -> None:
    reads, same = f"{TOYS}:ReadsFloats", f"{TOYS}:ReadsTheSame"
    ended = vlbench("count", "--tower", reads, "--tower", same, *SMALL, "--where")
    assert ended.code == 0
    told = " ".join(ended.out.split())
    assert "return x if x.sum() > 0 else -x" in told
    assert f"{reads}, {same}: " in told
    assert told.count("waits for a value; taken as") == 1


def test_operators_of_others_are_named(vlbench: Vlbench) -> None:
    ended = vlbench("count", "--tower", f"{TOYS}:Shaped", *SMALL)
    assert ended.code == 0
    assert "From outside torch, one operation each: vlbench_toys::shaped (1x)." in " ".join(ended.out.split())


def test_triton_kernels_are_one_operation_and_must_be_declared(vlbench: Vlbench) -> None:
    pytest.importorskip("triton")
    towers = "tests.counting.triton_towers"
    ended = vlbench("count", "--tower", f"{towers}:Declared", "--tower", f"{towers}:AsksTheDriver", *SMALL, "--json")
    assert ended.code == 0, ended
    found = rows(ended.json())
    assert found[f"{towers}:Declared"]["warm"]["counts"]["operations"]["triton::double_tuned"] == 1
    asked = {each["question"]: each["answer"] for each in found[f"{towers}:AsksTheDriver"]["questions"]}
    assert asked["triton.runtime.driver.active.get_current_target()"].endswith("arch=90, warp_size=32)")
    ended = vlbench("count", "--tower", f"{towers}:Undeclared", *SMALL)
    assert ended.code == 6
    assert 'declare("triton::_double", read_backs=...)' in " ".join(ended.out.split())


def test_one_bad_tower_does_not_take_the_others_with_it(vlbench: Vlbench) -> None:
    ended = vlbench("count", "--tower", f"{TOYS}:Unruly", "--tower", f"{TOYS}:Toy", *SMALL, "--json")
    assert ended.code == 6
    found = rows(ended.json())
    assert found[f"{TOYS}:Unruly"]["warm"] is None
    assert found[f"{TOYS}:Toy"]["warm"]["counts"]["total"]["host_syncs"] == 0  # the grid is handed over beforehand


def test_the_table_fits_80_columns_and_says_what_it_is(vlbench: Vlbench) -> None:
    ended = vlbench("count", "--tower", TINY, *SMALL, "--where")
    assert ended.code == 0
    assert max(map(len, ended.out.splitlines())) <= 80
    for words in (
        "baseline",
        "classic",
        "exact",
        "best",
        "not calibrated yet for sm_90",
        "second forward",
        "Tensor.device",
        "as sm_90 with cuDNN 9.19",
        "Plans of cuDNN in the first forward, and on eight new grids of the smallest size: baseline ",
    ):
        assert words in " ".join(ended.out.split())
    assert "host-seqlens" in ended.out


def test_cold_and_warm_differ_where_there_is_a_cache(vlbench: Vlbench) -> None:
    ended = vlbench("count", "--tower", f"{TINY}+rope-cache", *SMALL, "--json")
    (row,) = rows(ended.json()).values()
    assert row["cold"]["counts"]["operations"]["aten::cos"] > 0
    assert "aten::cos" not in row["warm"]["counts"]["operations"]
    plans = [row[state]["counts"]["total"]["attention_plans"] for state in ("cold", "warm")]
    assert plans[0] > plans[1] == 0
    assert (ended.json()["cudnn"], row["warm"]["counts"]["key"]["cudnn"]) == ("9.19", "9.19")


def test_two_variants_beside_each_other(vlbench: Vlbench) -> None:
    ended = vlbench("count", "--tower", TINY, "--diff", "baseline", "host-grid", *SMALL)
    assert ended.code == 0
    assert f"{TINY} -> {TINY}+host-grid" in ended.out
    assert "host syncs" in ended.out
    assert "REGRESSED counters" in ended.out  # the peak rose, whatever fell
    assert "-> 0" in ended.out  # lines that are gone
    (row,) = vlbench("count", "--tower", TINY, "--diff", "host-grid", "baseline", *SMALL, "--json").json()["rows"]
    assert row["verdict"] == "regressed"
    assert {move["kind"] for move in row["moves"]} == {"counter", "line", "operation"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--tower", "qwen2.5-vl-tinny"], "there is no model 'qwen2.5-vl-tinny'; did you mean qwen2.5-vl-tiny?"),
        (["--grid", "36x36"], "--grid: '36x36' must be FRAMESxROWSxCOLUMNS in patches"),
        (["--grid", "1x4x4", "--scenario", "mixed"], "give one of them"),
        (["--scenario", "multi-imge"], "did you mean 'multi-image'?"),
        (["--cudnn", "8.9"], "--cudnn 8.9: no version of cuDNN 9; write it as 9.19 or 9.15.1"),
        (["--cudnn", ""], "--cudnn '': no version of cuDNN 9"),
        (["--as", ""], "--as '': no such GPU profile"),
        (["--as", "sm_42", "--cudnn", "9.19"], "--as sm_42: no such GPU profile"),
        (["--dtype", "int8"], "--dtype: 'int8' is not one of"),
        (["--diff", "best", "best"], "is named twice; name two"),
        (["my_tower:Tower"], "my_tower:Tower belongs to no option; a tower is named as in --tower my_tower:Tower"),
        (["--diff", "best", "exact", "--with", "best"], "give it no --with"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_input(vlbench: Vlbench, options: list[str], words: str) -> None:
    assert words in vlbench("count", *options).sentence


def test_calibrate_needs_a_gpu(vlbench: Vlbench) -> None:
    if torch.cuda.is_available():
        pytest.skip("needs a machine without a GPU")
    assert "torch sees no GPU here; run it on a machine with the GPU" in vlbench("calibrate").sentence
    assert "as in --tower my:Tower" in vlbench("calibrate", "my:Tower").sentence


FORBID = "import sys\nsys.modules['torch'] = None\nfrom vlbench.cli import main\nsys.argv[0] = 'vlbench'\n"
STARTS = "import vlbench.process.child\nvlbench.process.child.Child = lambda *_, **__: sys.exit(77)\n"
"""Instead of counting."""


@pytest.mark.parametrize(
    ("instead", "code"), [(STARTS, 77), pytest.param("", 0, marks=pytest.mark.slow)], ids=["to its start", "to its end"]
)
def test_the_command_itself_does_not_load_torch(folder: Path, instead: str, code: int) -> None:
    """Its counting process does, and that is enough."""
    (folder / "forbid.py").write_text(f"{FORBID}{instead}main()")
    command = [sys.executable, "forbid.py", "count", "--tower", TINY, "--with", "host-grid", *SMALL, "--where"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == code, done.stderr


@pytest.mark.slow
def test_the_platform_of_a_tower_is_told_in_every_format(vlbench: Vlbench, folder: Path) -> None:
    towers = [option for name in ("Toy", "on_another_platform") for option in ("--tower", f"{TOYS}:{name}")]
    ended = vlbench("count", *towers, *SMALL, "--csv", "a.csv", "--prometheus", "a.prom")
    assert ended.code == 0, ended
    table = pd.read_csv(folder / "a.csv", keep_default_na=False).set_index("variant")
    assert list(table["platform"]) == ["", "CPU platform"]
    labelled = [line for line in (folder / "a.prom").read_text().splitlines() if 'platform="CPU platform"' in line]
    assert labelled
    assert all(f'name="{TOYS}:on_another_platform"' in line for line in labelled)
    vlbench("count", *towers[:2], *SMALL, "--csv", "b.csv")
    assert "platform" not in pd.read_csv(folder / "b.csv")


@pytest.mark.slow
def test_a_plan_handed_in_is_told_in_every_format(vlbench: Vlbench, folder: Path) -> None:
    ended = vlbench("count", "--tower", f"{TINY}+rope-shared", "--plan", "--where", *SMALL, "--csv", "a.csv")
    assert ended.code == 0, ended
    assert max(map(len, ended.out.splitlines())) <= 80
    assert f"{TINY}+rope-shared plan=host: making it: " in " ".join(ended.out.split())
    table = pd.read_csv(folder / "a.csv").set_index("variant")
    counts = table[table["table"] == "counts"]
    assert list(counts["plan"]) == ["inside", "device", "device", "host", "host"]
    assert list(counts["host_syncs"] == 0) == [False, False, False, True, False]
    both = vlbench("count", "--tower", TINY, "--with", "rope-shared", "--tower", f"{TOYS}:Toy", "--plan", *SMALL)
    assert f"A plan handed in is not offered by {TINY}, {TOYS}:Toy." in " ".join(both.out.split())
    none = vlbench("count", "--tower", f"{TOYS}:Toy", "--plan", *SMALL)
    assert (none.code, "--plan: handing a plan in is not offered by" in none.err) == (2, True)
