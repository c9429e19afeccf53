"""`vlbench gate --base` from its arguments to its exit status, on a branch of somebody else's repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Vlbench
from tests.cli.gated import FILE, LAYER, SYNC, commit, git, keep_one_tower, store, write_towers
from vlbench.gating.manifest import NAME
from vlbench.record.baseline_files import proposal_path, read_baseline


@pytest.fixture
def branch(gated: Path) -> Path:
    """A baseline of one tower on `main`; on the branch that is checked out each layer waits."""
    keep_one_tower()
    git("branch", "--move", "main")
    git("checkout", "--quiet", "-b", "change")
    write_towers(LAYER, SYNC)
    return gated


@pytest.mark.slow
def test_what_a_change_accepts_is_its_first_row_and_no_accept_fails_it(vlbench: Vlbench, branch: Path) -> None:
    ended = vlbench("gate", "--base", "main")
    assert ended.code == 3, ended
    assert "of the merge base with main" in " ".join(ended.out.split())
    assert vlbench("baseline", "accept", branch, "--reason", "lengths may differ").code == 0
    git("commit", "--quiet", "--all", "-m", "wait")
    report = Path("report.md")
    ended = vlbench("gate", "--base", "main", "--markdown", report)
    assert ended.code == 0, ended
    shown = " ".join(ended.out.split())
    assert "ACCEPTED counters: towers:Tower small.toml bfloat16 sm_90 accepted by Ada on" in shown
    assert ": lengths may differ; host syncs rose from 0 to 3" in shown
    assert shown.index("ACCEPTED") < shown.index("PASSED: 1 accepted")
    assert not proposal_path(branch).exists()
    assert "accepted by Ada" in report.read_text()
    ended = vlbench("gate", "--base", "main", "--no-accept", "--report-only")
    assert ended.code == 0
    first = " ".join(ended.out.split())
    assert first.startswith("Nothing is enforced, for this is a report only: enforced, it would end with exit code 3.")
    assert "REGRESSED, NOT ENFORCED: 1 regressed, 1 same; exit code 0" in first


@pytest.mark.slow
def test_a_removal_with_a_reason_is_accepted_unless_nothing_is_left_to_judge(vlbench: Vlbench, branch: Path) -> None:
    write_towers()
    git("checkout", "--quiet", "main")
    other = branch.with_name("other.json")
    store(read_baseline(branch), other)
    commit()
    git("checkout", "--quiet", "-B", "change")

    def remove(path: Path) -> None:
        assert vlbench("baseline", "remove", path, "--reason", "that tower is gone", "--by", "Grace").code == 0

    remove(branch)
    ended = vlbench("gate", "--base", "main")
    told = "ACCEPTED counters: towers:Tower small.toml bfloat16 sm_90 removed by Grace"
    assert (ended.code, told in " ".join(ended.out.split())) == (0, True)
    ended = vlbench("gate", "--base", "main", "--no-accept")
    assert (ended.code, "which --no-accept does not count" in " ".join(ended.out.split())) == (6, True)
    remove(other)
    ended = vlbench("gate", "--base", "main")
    shown = " ".join(ended.out.split())
    assert (ended.code, "nothing was judged, for it takes the last baseline away" in shown) == (6, True)


def test_no_way_to_move_the_baseline_passes(vlbench: Vlbench, branch: Path) -> None:
    """The traps have more of them."""
    stored = FILE.read_text()
    manifest = FILE.with_name(NAME).read_text()

    def gate(*options: str) -> int:
        code = vlbench("gate", "--base", "main", *options).code
        FILE.write_text(stored)
        proposal_path(FILE).unlink(missing_ok=True)
        FILE.with_name(NAME).write_text(manifest)
        return code

    FILE.rename(FILE.with_suffix(".proposed.json"))
    assert gate() == 6
    wide = (
        read_baseline(FILE).counted[0].model_copy(update={"bands": dict.fromkeys(("host_syncs", "read_backs"), 0.99)})
    )
    FILE.write_text(read_baseline(FILE).model_copy(update={"counted": (wide,)}).model_dump_json())
    assert vlbench("baseline", "accept", FILE, "--reason", "it is fine").code == 0
    assert gate() == 3
    again = ("--tower", "towers:Tower", "--scenario", "small.toml", "--reason", "anew", "--force")
    assert vlbench("baseline", "save", FILE, *again).code == 0
    assert gate() == 6  # its history is not that of main, nor are the outputs that its results are held to
    assert gate("--first") == 3


def test_without_a_base_the_manifest_says_what_is_missing(vlbench: Vlbench, gated: Path) -> None:
    keep_one_tower()
    (gated.parent / "more").mkdir()
    gated.rename(gated.parent / "more" / "toy.json")
    ended = vlbench("gate")
    assert ended.code == 6
    assert "toy.json: results/baselines/baselines.manifest lists it and it is not there" in ended.err
    assert vlbench("gate", "--report-only").code == 0
    assert vlbench("baseline", "remove", gated, "--reason", " ").code == 2
    ended = vlbench("baseline", "remove", gated, "--reason", "that tower is gone", "--by", "Grace")
    assert (ended.code, "removed by Grace; commit that" in ended.out) == (0, True)
    assert "holds no baseline" in vlbench("gate").err


def test_wrong_ways_to_name_a_base(vlbench: Vlbench, gated: Path) -> None:
    assert "belong to --base; say which revision is the base" in vlbench("gate", "--first").sentence
    said = vlbench("gate", "--base", "origin/main").sentence
    assert said.startswith("--base origin/main: git knows no such commit, branch or tag; `git fetch origin main`")
    git("branch", "other")
    git("checkout", "--quiet", "--orphan", "alone")
    git("commit", "--quiet", "-m", "alone")
    ended = vlbench("gate", "--base", "other")
    assert (ended.code, ended.out) == (6, "")
    assert "--base other: it has no merge base with HEAD" in ended.err
    ended = vlbench("gate", "--base", "other", "--report-only")
    assert ended.code == 0
    assert ended.out.startswith("Nothing is enforced, for this is a report only: enforced, it would end")
