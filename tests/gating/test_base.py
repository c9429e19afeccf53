"""The merge base, in small repositories of git."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.cli.gated import git
from tests.record.baselines import baseline, cell, forward
from tests.repositories import begin_here
from vlbench.api.defaults import Defaults, defaults
from vlbench.api.markers import marker_rows
from vlbench.api.verdicts import _required
from vlbench.errors import IncomparableError, UsageError
from vlbench.gating.base import base_of, baselines_at
from vlbench.gating.manifest import NAME, Manifest, enlist
from vlbench.gating.required import by_base
from vlbench.record.baseline_files import write_baseline
from vlbench.revisions.checkouts import checked_out

FOLDER = Path("kept")
FILE = FOLDER / "toy.json"
STORED = baseline(cell(forward(host_syncs=1)))


def commit(message: str = "more") -> None:
    git("add", "--all")
    git("commit", "--quiet", "--allow-empty", "-m", message)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """main: no baseline, then one; the branch `change` is checked out."""
    monkeypatch.chdir(tmp_path)
    begin_here()
    commit("nothing")
    git("tag", "nothing")
    FOLDER.mkdir()
    write_baseline(STORED, FILE)
    (tmp_path / "pyproject.toml").write_text('[tool.vlbench]\nbaselines = "kept"\n')
    commit("a baseline")
    git("checkout", "--quiet", "-b", "change")
    return tmp_path


def test_the_baselines_are_those_of_the_merge_base_wherever_they_went(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    FILE.rename("toy.json")
    Path("pyproject.toml").unlink()
    commit()
    git("checkout", "--quiet", "main")
    write_baseline(baseline(cell(forward(host_syncs=9))), FILE)
    commit("main goes on")
    git("checkout", "--quiet", "change")
    base = base_of("main")
    assert base.words == f"the merge base with main ({git('rev-parse', 'main~1')[:9]})"
    assert baselines_at(base, [], FOLDER, first=False) == {FILE: STORED}
    assert baselines_at(base, [FILE], FOLDER, first=True) == {FILE: STORED}
    assert (defaults(commit=base.commit).baselines, defaults().baselines) == ("kept", "results/baselines")
    inner = repository / "inner"
    inner.mkdir()
    monkeypatch.chdir(inner)
    there = defaults(commit=base.commit)
    assert there.baselines == str(repository / "kept")
    assert list(baselines_at(base, [], Path(there.baselines), first=False).values()) == [STORED]


def test_without_a_baseline_there_the_first_one_has_to_be_said(repository: Path) -> None:
    base = base_of("nothing")
    with pytest.raises(IncomparableError, match="`vlbench gate --base nothing --first`") as caught:
        baselines_at(base, [], FOLDER, first=False)
    assert "does not have a baseline in kept, so nothing says what must hold" in str(caught.value)
    assert baselines_at(base, [], FOLDER, first=True) == {}
    with pytest.raises(IncomparableError, match=r"does not have other\.json"):
        baselines_at(base_of("main"), [Path("other.json")], FOLDER, first=False)


def test_a_branch_from_before_the_baseline_is_not_the_first(repository: Path) -> None:
    git("checkout", "--quiet", "-b", "old", "nothing")
    with pytest.raises(IncomparableError, match="is from before it; `git rebase main`"):
        baselines_at(base_of("main"), [], FOLDER, first=True)


@pytest.mark.parametrize("text", ["{", "{}", STORED.model_copy(update={"seal": ""}).model_dump_json()])
def test_a_baseline_that_is_unfit_there_gates_nothing(repository: Path, text: str) -> None:
    FILE.write_text(text)
    commit()
    with pytest.raises(IncomparableError, match=r"kept/toy\.json of the merge base with change .*; --first leaves it"):
        baselines_at(base_of("change"), [], FOLDER, first=False)
    assert baselines_at(base_of("change"), [], FOLDER, first=True) == {}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("upstream/main", "knows no such commit, branch or tag; `git fetch upstream main` brings a branch"),
        ("mian", "knows no such commit, branch or tag; `git fetch origin mian:mian` brings a branch"),
        ("--output=x", "knows no such commit"),
    ],
)
def test_a_revision_that_git_does_not_know(repository: Path, name: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        base_of(name)
    assert (caught.value.exit_code, words in str(caught.value)) == (2, True)


def test_a_history_that_is_cut_says_how_to_get_the_rest(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit("on the branch")
    clone = repository / "clone"
    url = repository.as_uri()
    subprocess.run(["git", "clone", "--quiet", "--depth", "1", "--branch", "change", url, clone], check=True)
    monkeypatch.chdir(clone)
    with pytest.raises(IncomparableError, match="`git fetch --unshallow origin`, or fetch-depth: 0"):
        base_of("origin/main")
    git("fetch", "--quiet", "--depth", "1", "origin", "main:refs/remotes/origin/main")
    with pytest.raises(
        IncomparableError, match="no merge base with HEAD, for the history here is cut: `git fetch --uns"
    ):
        base_of("origin/main")
    git("fetch", "--quiet", "--unshallow", "origin")
    assert base_of("origin/main").commit == git("rev-parse", "origin/main")


@pytest.mark.parametrize("kind", ["blob:none", "tree:0"])
def test_what_a_filter_left_out_is_not_taken_for_absent(
    repository: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    Path("test_it.py").write_text("mark.vlbench")
    commit()
    git("branch", "--force", "main")
    for path in (FILE, Path("pyproject.toml"), Path("test_it.py")):
        path.write_text("")
    commit()
    git("config", "uploadpack.allowFilter", "true")
    clone = repository / "clone"
    git("clone", "--quiet", f"--filter={kind}", "--branch", "change", repository.as_uri(), str(clone))
    monkeypatch.chdir(clone)
    base = base_of("origin/main")
    for ask in (
        lambda: baselines_at(base, [], FOLDER, first=True),
        lambda: defaults(commit=base.commit),
        lambda: marker_rows(base, Defaults(), accepts=False),
        lambda: checked_out([base.commit]).__enter__(),
    ):
        with pytest.raises(IncomparableError, match="`git fetch --refetch --no-filter` brings what a filter"):
            ask()
    git("fetch", "--quiet", "--refetch", "--no-filter")
    assert baselines_at(base, [], FOLDER, first=False) == {FILE: STORED}


def test_links_lead_to_what_the_merge_base_holds(repository: Path) -> None:
    FOLDER.rename("store")
    FOLDER.symlink_to("store")
    (FOLDER / "linked.json").symlink_to("../store/toy.json")
    commit()
    git("branch", "--force", "main")
    write_baseline(baseline(cell(forward(host_syncs=9))), FILE)
    assert baselines_at(base_of("main"), [], FOLDER, first=False) == dict.fromkeys(
        (FOLDER / "linked.json", FILE), STORED
    )
    FILE.unlink()
    FILE.symlink_to("/etc/hostname")
    commit()
    with pytest.raises(IncomparableError, match=r"kept/linked\.json at .* lies outside of what this repository holds"):
        baselines_at(base_of("change"), [], FOLDER, first=False)


@pytest.mark.parametrize("text", ["", "{", "[tool.vlbench]\nfaster = true\n", '[tool.vlbench]\ngpu = "sm_1"\n'])
@pytest.mark.parametrize("has_baseline", [False, True])
def test_a_merge_base_whose_settings_do_not_count_is_as_one_without(
    repository: Path, text: str, has_baseline: bool
) -> None:
    """What it holds where the change keeps its baselines is judged all the same."""
    git("checkout", "--quiet", "-B", "main", "main" if has_baseline else "nothing")
    settings = Path("pyproject.toml")
    settings.unlink(missing_ok=True)
    settings.write_text(text) if text else settings.symlink_to("/etc/hostname")
    commit()
    git("checkout", "--quiet", "-b", "mended")
    settings.unlink()
    settings.write_text('[tool.vlbench]\nbaselines = "kept"\n')
    FOLDER.mkdir(exist_ok=True)
    write_baseline(STORED, FILE)
    enlist(FILE, STORED)
    commit()
    with pytest.raises(
        IncomparableError, match=r"^the merge base with main .*pyproject\.toml.*; --first leaves it out"
    ):
        _required([], "main", first=False, accepts=True)
    required = _required([], "main", first=True, accepts=True)
    assert required.baselines == {FILE: STORED}
    assert bool(required.held) == has_baseline


@pytest.mark.parametrize("ref", ["refs/main", "refs/tags/main", "refs/remotes/main/HEAD", "refs/heads/{}"])
def test_a_name_of_several_is_no_base(repository: Path, ref: str) -> None:
    short = git("rev-parse", "--short", "main")
    commit()
    assert base_of("main").commit.startswith(short)
    git("update-ref", ref.format(short), "HEAD")
    name = short if "{" in ref else "main"
    for each in (name, f"{name}~0"):
        with pytest.raises(UsageError, match="several branches, tags or commits have that name") as caught:
            base_of(each)
        assert caught.value.exit_code == 2
    assert base_of("refs/heads/main").commit.startswith(short)


def test_a_change_takes_nothing_off_the_manifest_in_silence(repository: Path) -> None:
    enlist(FILE, STORED)
    commit()
    git("branch", "--force", "main")
    assert by_base(base_of("main"), [], (FOLDER, FOLDER)).rows == {}
    manifest = FOLDER / NAME
    for spoil in (manifest.unlink, lambda: write_baseline(Manifest(), manifest)):
        spoil()
        (row,) = by_base(base_of("main"), [], (FOLDER, FOLDER)).rows[FILE]
        assert (row.verdict, "lists less of it than in the merge base" in row.reason) == ("missing", True)
    manifest.write_text("{")
    with pytest.raises(IncomparableError, match="take back what was changed by hand"):
        by_base(base_of("main"), [], (FOLDER, FOLDER))


def test_histories_that_have_nothing_in_common_and_no_history(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git("checkout", "--quiet", "--orphan", "other")
    commit()
    with pytest.raises(IncomparableError, match="they share no history"):
        base_of("main")
    (repository / "empty").mkdir()
    monkeypatch.chdir(repository / "empty")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(repository))
    with pytest.raises(IncomparableError, match="there is no commit here; run this inside of the repository"):
        base_of("main")


def test_what_the_change_adds_is_judged_beside_it(repository: Path) -> None:
    new = baseline(cell(forward(), tower="toy:new"))
    write_baseline(new, FOLDER / "new.json")
    required = by_base(base_of("main"), [], (FOLDER, FOLDER))
    assert required.baselines == {FILE: STORED, FOLDER / "new.json": new}
    write_baseline(STORED.model_copy(update={"trials": 9}), FILE)
    required = by_base(base_of("main"), [], (FOLDER, FOLDER))
    (row,) = required.settle({})[FILE].rows
    assert row.reason.startswith("kept/toy.json: was edited by hand since it was accepted")
    FILE.unlink()
    required = by_base(base_of("main"), [], (FOLDER, FOLDER))
    assert [len(each.cells) for each in required.baselines.values()] == [1, 1]
    assert [row.verdict for row in required.settle({})[FILE].rows] == ["missing"]
