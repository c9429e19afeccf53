"""`vlbench gate` and `vlbench baseline` from their arguments to their exit status, on towers of somebody else's."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Vlbench
from tests.cli.gated import (
    FILE,
    LAYER,
    SYNC,
    TOWERS,
    edit,
    git,
    head,
    keep_one_tower,
    make_repository,
    store,
    write_towers,
)
from tests.record.baselines import TIMED
from vlbench.record.baseline_files import proposal_path, read_baseline


def test_a_sync_in_each_layer_fails_with_its_line_and_without_it_is_an_improvement(
    vlbench: Vlbench, gated: Path
) -> None:
    keep_one_tower()
    number = write_towers(LAYER, SYNC)
    ended = vlbench("gate", "--csv", "rows.csv", "--sarif", "gate.sarif")
    assert ended.code == 3, ended
    (result,) = json.loads(Path("gate.sarif").read_text())["runs"][0]["results"]
    place = result["locations"][0]["physicalLocation"]
    assert (place["artifactLocation"]["uri"], place["region"]["startLine"]) == ("towers.py", number)
    assert (result["ruleId"], result["level"]) == ("regressed/read-back", "error")
    assert f"towers.py:{number} read-back 0 -> 3" in ended.out
    assert SYNC.removesuffix("  # LAYER") in ended.out
    assert "host syncs rose from 0 to 3 in forward" in " ".join(ended.out.split())
    assert "regressed" in Path("rows.csv").read_text()

    ended = vlbench("baseline", "accept", gated, "--reason", "lengths may differ")
    assert (ended.code, proposal_path(gated).exists()) == (0, False)
    assert "towers:Tower small.toml bfloat16 sm_90: host_syncs 0 -> 3, read_backs 0 -> 3" in ended.out
    assert "toy.json: accepted by Ada; commit it" in " ".join(ended.out.split())
    assert max(map(len, ended.out.splitlines())) <= 80
    last = read_baseline(gated).accepted[-1]
    assert (last.by, last.reason, last.dirty, last.revision) == ("Ada", "lengths may differ", True, head())

    write_towers()
    ended = vlbench("gate", "--out", "better.json")
    assert ended.code == 0, ended
    said = " ".join(ended.out.split())
    assert "host syncs fell from 3 to 0" in said
    assert f"`vlbench baseline accept {gated} --from better.json" in said
    assert vlbench("baseline", "accept", gated, "--from", "better.json", "--reason", "gone again").code == 0
    assert read_baseline(gated).counted[0].warm.counters["host_syncs"] == 0


@pytest.mark.slow
def test_the_same_code_passes_without_loading_torch(gated: Path, folder: Path) -> None:
    """The counting process loads it, and that is enough."""
    keep_one_tower()
    write_towers(LAYER, f"# an edit above\n        {LAYER}")
    program = "import sys\nsys.modules['torch'] = None\nfrom vlbench.cli import main\nmain()"
    done = subprocess.run([sys.executable, "-c", program, "gate"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert all(line.startswith("checking and counting 1 cell") for line in done.stderr.splitlines()), done.stderr
    assert "1 cell is the same in counters" in " ".join(done.stdout.split())
    assert sorted(path.name for path in gated.parent.iterdir()) == ["baselines.manifest", "toy.json"]


def test_whatever_cannot_be_compared_has_its_own_sentence(vlbench: Vlbench, gated: Path) -> None:
    stored = read_baseline(gated)
    first = stored.counted[0]
    grids = {"scenario": "grid", "point": "1x4x6+1x4x6"}
    old = first.key.model_copy(update={"torch_version": "2.0.0"})
    changed = ({"scenario": "gone.toml"}, {"scenario": "single-image"}, {"point": "count=9"}, {**grids, "key": old})
    cells = [*stored.counted, *(first.model_copy(update=change) for change in changed)]
    store(stored.model_copy(update={"counted": tuple(cells)}))
    text = TOWERS.replace("Renamed", "Other").replace("class Crashing(Tower):\n    pass", CRASH)
    Path("towers.py").write_text(text)
    ended = vlbench("gate", "--json")
    assert ended.code == 6, ended
    found = ended.json()
    rows = [(row["verdict"], row["reason"]) for row in found["rows"]]
    checks = [row for row in found["rows"] if row["measure"] == "accuracy"]
    assert [(row["cell"].split()[0], row["verdict"]) for row in checks] == [
        ("towers:Tower", "same"),
        ("towers:Renamed", "missing"),
        ("towers:Crashing", "missing"),
    ]
    rows = rows[len(checks) :]
    assert [verdict for verdict, _ in rows] == ["same", *["missing"] * 6]
    for (_, reason), words in zip(
        rows[1:],
        (
            "towers has no 'Renamed'; name a function in it",
            "its process was ended by SIGABRT",
            "gone.toml does not exist",
            "scenario single-image feeds 1x36x36 now, and 1x4x6, 1x4x6 when it was counted",
            "scenario small.toml has no point 'count=9' any more",
            "it was counted with torch 2.0.0, and this is torch",
        ),
        strict=True,
    ):
        assert words in reason
        assert "\n" not in reason
    assert any(f"vlbench baseline rebase {gated}" in note for note in found["notes"])
    assert found["written"] is None


CRASH = """class Crashing(Tower):
    def forward(self, pixels, grid_thw):
        os.abort()"""


@pytest.mark.parametrize(
    ("spoil", "code", "words"),
    [
        (lambda: FILE.unlink(), 6, "no such file; write one with `vlbench baseline save"),
        (lambda: FILE.write_text("{"), 2, "not JSON"),
        (lambda: FILE.write_text("{}"), 2, "not a baseline"),
        (lambda: edit(schema_version=7), 6, "schema_version is 7, this vlbench reads 2; save the baseline again"),
        (lambda: edit(budget=1.0), 6, "was edited by hand since it was accepted"),
        (lambda: edit(accepted=[]), 6, "nobody has accepted these figures yet"),
        (lambda: edit(counted=[]), 6, "has no cells, so nothing would be measured"),
    ],
)
def test_a_file_that_nothing_can_be_held_against(
    vlbench: Vlbench, gated: Path, spoil: Callable[[], None], code: int, words: str
) -> None:
    spoil()
    ended = vlbench("gate", "--baseline", gated)
    assert (ended.code, ended.out) == (code, "")
    assert words in ended.err
    assert ended.err.startswith(f"error: {gated}: ")
    assert ended.err.count("\n") == 1


def test_without_any_baseline_nothing_passes(vlbench: Vlbench) -> None:
    ended = vlbench("gate")
    assert ended.code == 6
    assert "error: results/baselines: holds no baseline; write the first with `vlbench gate init " in ended.err


def test_a_file_of_which_nothing_is_judged_does_not_pass(vlbench: Vlbench, gated: Path) -> None:
    stored = read_baseline(gated)
    store(stored.model_copy(update={"counted": (), "timed": (TIMED,)}))
    ended = vlbench("gate", "--times", "never")
    assert ended.code == 6
    assert "nothing in this file was judged" in " ".join(ended.out.split())


def test_wrong_options_are_found_before_anything_is_measured(vlbench: Vlbench, gated: Path) -> None:
    assert "that is the baseline itself" in vlbench("gate", "--out", gated).sentence
    assert (
        "--out nowhere/x.json: the folder nowhere does not exist" in vlbench("gate", "--out", "nowhere/x.json").sentence
    )
    taken = Path("taken.json")
    taken.write_text("mine")
    assert "--out taken.json: there is a file already" in vlbench("gate", "--out", taken).sentence
    shutil.copy(gated, gated.with_name("other.json"))
    assert "--out x.json: one file cannot stand for 2 baselines" in vlbench("gate", "--out", "x.json").sentence
    assert (
        "--junit nowhere/x.xml: the folder nowhere does not exist"
        in vlbench("gate", "--junit", "nowhere/x.xml").sentence
    )
    assert vlbench("gate", "--times", "sometimes").code == 2
    assert "no.sqlite" in vlbench("gate", "--baseline", gated, "--capture", "no.sqlite").sentence


def test_a_repository_is_put_under_the_gate(vlbench: Vlbench, folder: Path) -> None:
    make_repository(folder)
    ended = vlbench("gate", "init", "towers:Tower", "--grid", "1x4x6", "--by", "Grace")
    assert ended.code == 0, ended
    assert "no repository" not in ended.out
    told = " ".join(ended.out.split())
    assert "results/baselines/baselines.manifest: what must be judged; commit all of these" in told
    assert "results/baselines/.gitignore: keeps what a failed gate proposes, *.proposed.json, out of commits" in told
    assert max(map(len, ended.out.splitlines())) <= 80
    made = read_baseline(Path("results/baselines/towers-tower.json"))
    assert [cell.name for cell in made.counted] == ["towers:Tower grid 1x4x6 bfloat16 sm_90"]
    assert made.accepted[0].by == "Grace"
    assert git("ls-files", "--others", "--exclude-standard").splitlines() == [
        ".github/workflows/vlbench.yml",
        "results/baselines/.gitignore",
        "results/baselines/baselines.manifest",
        "results/baselines/towers-tower.json",
        "tests/test_vlbench.py",
    ]
    assert "it is there already" in vlbench("gate", "init", "towers:Tower").sentence


def test_a_first_baseline_goes_to_the_folder_of_the_project(vlbench: Vlbench, folder: Path) -> None:
    Path("pyproject.toml").write_text('[tool.vlbench]\nbaselines = "kept"\n')
    Path("kept").mkdir()
    write_towers()
    Path("kept/towers-tower.json").touch()
    Path("towers.py").write_text("class Tower: ...\n")
    assert vlbench("gate", "init", "towers:Tower").sentence.startswith("kept/towers-tower.json: it is there already")


@pytest.mark.slow
def test_a_folder_outside_of_a_repository_is_told_that_nothing_is_gated_yet(vlbench: Vlbench, folder: Path) -> None:
    make_repository(folder)
    shutil.rmtree(".git")
    ended = vlbench("gate", "init", "towers:Tower", "--grid", "1x4x6")
    assert ended.code == 0, ended
    assert "no repository here, or no git: `git init` before you commit, or nothing is gated" in " ".join(
        ended.out.split()
    )
