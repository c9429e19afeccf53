"""Where the code is what was accepted, and what `rebase` refuses before it counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.record.baselines import ACCEPTED, KEY, TIMED, baseline, cell, forward
from tests.record.records import FINGERPRINT
from tests.repositories import begin_here
from vlbench.comparing.counted_cells import GRID
from vlbench.errors import IncomparableError, UsageError
from vlbench.gating.complete import complete
from vlbench.gating.rebase import rebase
from vlbench.gating.save import refuse_other
from vlbench.process.git import git, revision
from vlbench.record.baseline import Baseline
from vlbench.record.baseline_files import write_baseline

FILE = Path("toy.json")
OTHER = FINGERPRINT.model_copy(update={"torch": "2.99.0"})


@pytest.fixture(autouse=True)
def _repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    begin_here()
    commit("towers.py", "a = 1")


def commit(name: str, text: str) -> str:
    Path(name).write_text(text)
    git("add", "--all")
    git("commit", "--quiet", "-m", "more")
    found = revision()
    assert found is not None
    return found


def accepted_at(at: str | None, dirty: bool = False, cudnn: str = "9.19") -> Baseline:
    counted = cell(key=KEY.model_copy(update={"cudnn": cudnn}))
    found = baseline(counted, accepted=(ACCEPTED.model_copy(update={"revision": at, "dirty": dirty}),))
    write_baseline(found, FILE)
    return found


def refusal() -> str:
    with pytest.raises(IncomparableError) as error:
        rebase(FILE, "another torch", OTHER)
    return str(error.value)


def test_the_accepted_revision_counts_where_it_was_clean_and_is_known() -> None:
    first = revision()
    assert first is not None
    accepted_at(first)
    commit("towers.py", "a = 2")
    assert f"towers.py changed since {first[:9]}" in refusal()


@pytest.mark.parametrize("at", ["gone", "dirty", "left behind by a rebase"])
def test_otherwise_it_is_the_commit_that_the_file_came_with(at: str) -> None:
    """A proposal is usually accepted before the change that it is about is committed."""
    accepted_at("0" * 40 if at == "gone" else revision(), dirty=at == "dirty")
    if at.startswith("left"):
        git("commit", "--quiet", "--amend", "-m", "another")
    kept = commit("towers.py", "a = 2")
    commit("towers.py", "a = 3")
    assert f"towers.py changed since {kept[:9]}" in refusal()


def test_code_that_nobody_committed_cannot_be_told_from_what_torch_did() -> None:
    accepted_at(None)
    assert "git does not know the code that was accepted" in refusal()
    git("add", "--all")
    assert "git does not know the code that was accepted" in refusal()


@pytest.mark.parametrize("lost", ["", "^{tree}"])
def test_in_a_damaged_repository_nobody_can_tell_what_changed(lost: str) -> None:
    """Also where git knows the revision by its name: a list of changes that fails is none without a change."""
    accepted_at(revision())
    commit("towers.py", "a = 2")
    name = git("rev-parse", f"HEAD~1{lost}")
    assert name is not None
    Path(".git/objects", name[:2], name[2:]).unlink()
    assert "git does not know the code that was accepted" in refusal()


@pytest.mark.parametrize("depth", [1, 2])
def test_where_the_history_is_cut_nobody_knows_with_which_commit_a_file_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, depth: int
) -> None:
    """All files seem to come with the last commit that is there, and so nothing to have changed since."""
    accepted_at(revision())
    commit("towers.py", "a = 2")
    commit("towers.py", "a = 3")
    git("clone", "--quiet", f"--depth={depth}", tmp_path.as_uri(), "clone")
    monkeypatch.chdir(tmp_path / "clone")
    assert "bring the history that is cut here (`git fetch --unshallow`), or run `vlbench gate`" in refusal()
    git("fetch", "--quiet", "--unshallow")
    assert "towers.py changed since" in refusal()


def test_only_counts_are_rebased_and_only_to_another_torch() -> None:
    accepted_at(revision())
    with pytest.raises(UsageError, match="which is this one; there is nothing to rebase"):
        rebase(FILE, "again", FINGERPRINT.model_copy(update={"torch": "2.13.0+cu130"}))
    write_baseline(baseline(counted=(), timed=(TIMED,)), FILE)
    with pytest.raises(UsageError, match="holds times alone, which belong to one torch"):
        rebase(FILE, "again", OTHER)


def test_a_file_from_before_cudnn_s_attention_is_counted_again_with_the_same_torch() -> None:
    accepted_at(revision(), cudnn="")
    with pytest.raises(
        IncomparableError, match=r"toy:Tower on single-image cannot be counted: .* toy cannot be imported"
    ):
        rebase(FILE, "cuDNN attends", FINGERPRINT.model_copy(update={"torch": "2.13.0"}))


def test_a_cell_that_is_another_one_now_is_no_new_count_of_the_stored_one() -> None:
    gpu, labelled = cell(), cell(key=KEY.model_copy(update={"platform": "CPU platform"}))
    refuse_other(FILE, gpu, cell(forward(host_syncs=1)))
    for stored, now, told in (
        (gpu, labelled, "for a GPU, and this is code for a CPU platform"),
        (labelled, gpu, "for a CPU platform, and this is code for a GPU"),
        (gpu, cell(point="x"), "what is counted now is toy:Tower single-image x bfloat16"),
    ):
        with pytest.raises(IncomparableError, match=f"toy.json: {stored.name}: .*{told}"):
            refuse_other(FILE, stored, now)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["rebase", "complete"])
def test_a_tower_that_says_another_platform_by_now_is_neither_rebased_nor_completed(
    monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    at = commit("labelled.py", "from tests.counting.toy_towers import on_another_platform as make")
    stored = cell(tower="labelled:make", scenario=GRID, point="1x4x4", grids=((1, 4, 4),))
    accepted = (ACCEPTED.model_copy(update={"revision": at}),)
    write_baseline(baseline(stored, accepted=accepted, unchecked={"labelled:make": "a toy"}), FILE)
    before = FILE.read_text()
    with pytest.raises(IncomparableError, match=f"{FILE}: {stored.name}: .*this is code for a CPU platform"):
        rebase(FILE, "torch", OTHER) if command == "rebase" else complete(FILE, "what is new")
    assert FILE.read_text() == before
