"""Proposals and their acceptance, in a repository of their own."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tests.record.baselines import ACCEPTED, TIMED, baseline, cell, forward
from tests.record.records import FINGERPRINT
from tests.repositories import begin_here
from vlbench.errors import IncomparableError, UsageError
from vlbench.gating.acceptance import accept, acceptance, propose
from vlbench.gating.manifest import Removal
from vlbench.gating.save import save
from vlbench.record.baseline import Baseline, CountedCell
from vlbench.record.baseline_files import load_baseline, proposal_path, read_baseline, write_baseline

HERE = FINGERPRINT.model_copy(update={"python": "3.11.9"})
BETTER = cell(forward(host_syncs=3))


def git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], check=True, capture_output=True)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A committed baseline of two cells, in the current folder."""
    monkeypatch.chdir(tmp_path)
    begin_here()
    stored = baseline(cell(forward(host_syncs=5), bands={"host_syncs": 0.1}), cell(tower="toy:Other"))
    write_baseline(stored, tmp_path / "toy.json")
    git("add", ".")
    git("commit", "--quiet", "-m", "all")
    return Path("toy.json")


def proposed(file: Path, *cells: CountedCell) -> Path:
    path = proposal_path(file)
    write_baseline(propose(read_baseline(file), cells, HERE), path)
    return path


def test_a_proposal_has_the_new_figures_the_old_thresholds_and_no_acceptance(file: Path) -> None:
    stored = read_baseline(file)
    found = propose(stored, [BETTER], HERE)
    assert found.counted == (BETTER.model_copy(update={"bands": {"host_syncs": 0.1}}), stored.counted[1])
    assert (found.fingerprint, found.accepted, found.seal) == (HERE, stored.accepted, "")


def test_a_file_that_is_saved_anew_keeps_its_thresholds(file: Path) -> None:
    stored = read_baseline(file).model_copy(update={"timed": (TIMED.model_copy(update={"threshold": 0.1}),)})
    write_baseline(stored.sealed(), file)
    made = save(file, HERE, ACCEPTED, counted=(BETTER, cell(tower="toy:New")), timed=(TIMED,))
    assert [each.bands for each in made.counted] == [{"host_syncs": 0.1}, {}]
    assert (made.timed[0].threshold, made.accepted) == (0.1, (ACCEPTED,))
    file.write_text("{")
    assert save(file, HERE, ACCEPTED, timed=(TIMED,)).timed == (TIMED,)


def test_times_of_another_machine_keep_its_fingerprint() -> None:
    stored = baseline(cell(), timed=(TIMED,))
    other = FINGERPRINT.model_copy(update={"cpu": "another CPU"})
    assert propose(stored, [], other).fingerprint == FINGERPRINT
    assert propose(stored, [TIMED], other).fingerprint == other
    assert propose(stored, [], HERE).fingerprint == HERE


def test_accepting_puts_the_proposal_in_place_with_who_why_and_what(file: Path) -> None:
    path = proposed(file, BETTER)
    made = accept(file, "the loop is gone")
    assert read_baseline(file) == made
    assert not path.exists()
    assert made.counted[0].warm.counters["host_syncs"] == 3
    first, last = made.accepted
    assert first.what == "saved"
    assert (last.what, last.by, last.reason, last.dirty) == ("accepted", "Ada", "the loop is gone", False)
    assert last.revision is not None
    assert last.changes == ("toy:Tower single-image bfloat16 sm_90: host_syncs 5 -> 3",)


def test_a_proposal_for_other_figures_is_refused(file: Path) -> None:
    path = proposed(file, BETTER)
    accept(file, "once")
    write_baseline(propose(baseline(BETTER), [], HERE), path)
    with pytest.raises(IncomparableError, match=r"was not proposed for toy\.json as it is now; run `vlbench gate`"):
        accept(file, "twice")


def test_a_proposal_may_lie_elsewhere(file: Path, tmp_path: Path) -> None:
    other = proposed(file, BETTER).rename(tmp_path / "new.json")
    assert accept(file, "it does", proposal=other, by="Grace").accepted[-1].by == "Grace"
    assert load_baseline(other).cells == load_baseline(file).cells  # it is somebody's own file, and stays


def edit(file: Path, **fields: Any) -> None:
    write_baseline(load_baseline(file).model_copy(update=fields), file)


def test_an_edit_is_sealed_and_listed_against_the_commit(file: Path) -> None:
    stored = read_baseline(file)
    wide = stored.counted[1].model_copy(update={"bands": {"allocations": 0.25}})
    edit(file, counted=(stored.counted[0], wide), trials=7)
    made = accept(file, "allocations differ by allocator")
    assert read_baseline(file) == made
    assert made.accepted[-1].changes == (
        "trials 5 -> 7",
        "toy:Other single-image bfloat16 sm_90: band of allocations none -> 25.0 %",
    )


def test_an_edit_without_a_commit_is_said_to_be_one(file: Path) -> None:
    git("rm", "--quiet", "--cached", "toy.json")
    git("commit", "--quiet", "-m", "none")
    edit(file, trials=7)
    assert accept(file, "more of them").accepted[-1].changes == ("edited by hand",)


def test_an_edit_and_a_proposal_are_not_taken_together(file: Path) -> None:
    proposed(file, BETTER)
    edit(file, trials=7)
    with pytest.raises(
        IncomparableError, match=r"was edited by hand, and toy\.proposed\.json is proposed for what it was"
    ):
        accept(file, "both")


def test_there_must_be_something_to_accept_and_a_reason(file: Path) -> None:
    assert accept(file, "from now on it must be judged").accepted[-1].changes == ("listed in baselines.manifest",)
    with pytest.raises(UsageError, match="nothing to accept: it is as it was accepted"):
        accept(file, "because")
    edit(file, trials=7)
    with pytest.raises(UsageError, match="--reason is empty; say why these figures are right"):
        accept(file, "  ")
    with pytest.raises(UsageError, match="--by is empty"):
        accept(file, "because", by="")
    for odd in ("a\nb", "\x1b[31mred", "\x00", "\u200b"):
        with pytest.raises(UsageError, match=r"--reason .* holds control or invisible characters"):
            accept(file, odd)
        with pytest.raises(UsageError, match=r"--by .* holds control or invisible characters"):
            accept(file, "because", by=odd)


def test_cells_that_come_and_go_are_listed(file: Path) -> None:
    new: Baseline = load_baseline(file)
    edit(file, counted=(new.counted[0], cell(tower="toy:Third")))
    assert accept(file, "renamed").accepted[-1].changes == (
        "toy:Other single-image bfloat16 sm_90: removed",
        "toy:Third single-image bfloat16 sm_90: added",
    )


@pytest.mark.parametrize("text", ["\u2800", "\u3164", "\u115f", "\uffa0", "\u200b", "...", "\u0301"])
def test_nobody_says_what_cannot_be_read(text: str) -> None:
    for reason, by in ((text, "me"), ("why", text)):
        with pytest.raises(UsageError, match=r"^--(reason|by) .* holds (no letter and no digit|control or invisible)"):
            acceptance("saved", reason, "2", by=by)
        with pytest.raises(ValidationError, match="holds no letter and no digit"):
            Removal(file="a.json", by=by, reason=reason, date=datetime.now(UTC))
    assert acceptance("saved", "원인 3", "2", by="李").by == "李"
