from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
import yaml

from tests.cli.gated import git
from vlbench.errors import UsageError
from vlbench.gating.init import Place, baseline_for
from vlbench.gating.installs import Installs
from vlbench.record.baseline_files import proposal_path

INSTALLED = Installs(("vlbench @ git+https://example.org/vlbench.git@0123abc", "--editable", "."))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A folder of a larger repository, and the current one."""
    folder = tmp_path / "services" / "vision"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    git("init", "--quiet", str(tmp_path))
    return Place.here()


def test_a_baseline_is_named_after_its_tower() -> None:
    assert baseline_for("my.towers:Vision_L") == Path("results/baselines/my-towers-vision-l.json")
    assert baseline_for("qwen2.5-vl-7b+best") == Path("results/baselines/qwen2-5-vl-7b-best.json")


@pytest.mark.parametrize("inside", [True, False])
def test_the_workflow_lies_where_github_looks_and_works_where_the_package_is(
    place: Place, tmp_path: Path, inside: bool
) -> None:
    place = place if inside else Place(tmp_path, tmp_path)
    assert place.write_workflow("2.13.0+cpu", INSTALLED)
    (path,) = (tmp_path / ".github" / "workflows").iterdir()
    assert path.name == ("vlbench-services-vision.yml" if inside else "vlbench.yml")
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow.get("defaults") == ({"run": {"working-directory": "services/vision"}} if inside else None)
    steps = workflow["jobs"]["gate"]["steps"]
    assert steps[0]["with"]["fetch-depth"] == 0
    assert [step["run"] for step in steps if "run" in step] == [
        'pip install "torch==2.13.0" --extra-index-url https://download.pytorch.org/whl/cpu',
        "pip install \"torch==2.13.0\" 'vlbench @ git+https://example.org/vlbench.git@0123abc' --editable .\n",
        f'git cat-file -e "origin/$GITHUB_BASE_REF:.github/workflows/{path.name}" 2> /dev/null || first=--first\n'
        'vlbench gate --base "origin/$GITHUB_BASE_REF" ${first:-} --github\n',
    ]
    assert "A runner does not have" not in path.read_text()


def test_a_name_with_odd_characters_is_one_name_in_the_workflow(tmp_path: Path) -> None:
    folder = tmp_path / 'a: "b" #c'
    installed = Installs(("./it's here",), only_here="/somewhere")
    place = Place(folder, tmp_path)
    place.write_workflow("2.13.0", installed)
    text = (tmp_path / place.workflow).read_text()
    workflow = yaml.safe_load(text)
    assert workflow["defaults"]["run"]["working-directory"] == 'a: "b" #c'
    (command,) = (step["run"] for step in workflow["jobs"]["gate"]["steps"] if "here" in step.get("run", ""))
    assert shlex.split(command)[-1] == "./it's here"
    assert "# A runner does not have /somewhere: name a place that it can reach." in text


def test_no_two_folders_share_a_workflow_or_a_test(tmp_path: Path) -> None:
    """The second one would never be gated."""
    names = ["", "a/b", "a-b", "a_b", "a b", "a/b-", "a--b", "a/-b", "-", "_", "é", "e\u0301"]
    places = [Place(tmp_path / each, tmp_path) for each in names]
    assert len({each.workflow for each in places}) == len({each.test for each in places}) == len(names)
    assert places[1].workflow.name == "vlbench-a-b.yml"
    assert places[1].test.name == "test_vlbench_a_b.py"
    for place in places:
        assert place.write_workflow("2.13.0", INSTALLED)
        assert re.fullmatch(r"test_\w+\.py", place.test.name), "a module that pytest can import"


def test_a_folder_that_github_would_read_as_an_expression_is_refused(tmp_path: Path) -> None:
    place = Place(tmp_path / "a ${{ github.token }}", tmp_path)
    with pytest.raises(UsageError, match=r"a \$\{\{ github.token \}\}: GitHub reads \$\{\{ .*rename the folder"):
        place.refuse(baseline_for("toy:Tower"), "2.13.0")


def test_another_tower_is_added_and_nothing_of_the_first_is_lost(place: Place) -> None:
    first, second = baseline_for("towers:One"), baseline_for("towers:Two")
    place.refuse(first, "2.13.0+cpu")
    place.write_test(first)
    assert place.write_workflow("2.13.0+cpu", INSTALLED)
    written = (place.top / place.workflow).read_text()
    place.refuse(second, "2.13.0+cpu")
    place.write_test(second)
    assert not place.write_workflow("2.13.0+cpu", Installs(("something else",)))
    assert (place.top / place.workflow).read_text() == written
    text = (place.folder / place.test).read_text()
    assert place.test.name == "test_vlbench_services_vision.py", "two of one name are one module to pytest"
    compile(text, "test_vlbench.py", "exec")
    for baseline in (first, second):
        assert text.count(f'@pytest.mark.vlbench(baseline="{baseline}")\ndef test_towers_') == 1
    assert (text.count("import pytest"), text.count("(vlbench_gate)")) == (1, 2)


def test_what_is_somebody_elses_is_not_overwritten(place: Place) -> None:
    baseline = baseline_for("toy:Tower")
    for path, words in ((place.folder / place.test, "rename it"), (place.top / place.workflow, "rename it")):
        path.parent.mkdir(parents=True)
        path.write_text("jobs: {}\n")
        with pytest.raises(UsageError, match=rf"{path.name}: it is there already, and not from .*{words}"):
            place.refuse(baseline, "2.13.0")
        path.unlink()
    place.write_workflow("2.12.1", INSTALLED)
    with pytest.raises(UsageError, match=r"it installs torch 2\.12\.1, and this is 2\.13\.0"):
        place.refuse(baseline, "2.13.0+cpu")
    (place.folder / baseline).parent.mkdir(parents=True)
    (place.folder / baseline).touch()
    with pytest.raises(UsageError, match=r"toy-tower\.json: it is there already"):
        place.refuse(baseline, "2.12.1")


def test_what_is_in_the_way_of_its_files_is_named_before_anything_is_counted(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the baseline would be there by then, and the test would not. No other name can be chosen."""
    ignoring = place.folder / "results" / "baselines" / ".gitignore"
    for path, lies_in in (
        (place.folder / place.test, place.folder),
        (place.top / place.workflow, place.top),
        (ignoring, place.folder),
    ):
        path.mkdir(parents=True)
        assert refusal(place) == f"{path}: it is in the way, for it is no file; move it"
        path.rmdir()
        path.symlink_to("nowhere/else")
        assert refusal(place) == f"{path}: it is in the way, for it is no file; move it"
        path.unlink()
        with monkeypatch.context() as patched:
            patched.setattr("os.access", lambda asked, mode, shut=path.parent: asked != shut)
            assert refusal(place) == f"{path}: nothing may be written to {path.parent}; change its permissions"
            path.touch()
            patched.setattr("os.access", lambda asked, mode, shut=path: asked != shut)
            assert refusal(place) == f"{path}: nothing may be written to it; change its permissions"
        top = lies_in / path.relative_to(lies_in).parts[0]
        shutil.rmtree(top)
        top.touch()
        assert refusal(place) == f"{path}: {top} is in the way, for it is no folder; move it"
        top.unlink()
    place.refuse(baseline_for("toy:Tower"), "2.13.0")
    ignoring.mkdir(parents=True)
    (place.top / ".gitignore").write_text("*.proposed.json")
    place.refuse(baseline_for("toy:Tower"), "2.13.0")  # git knows, so that none is written


def test_a_name_that_is_too_long_for_a_file_is_told(tmp_path: Path) -> None:
    place = Place(tmp_path.joinpath("inside", *["long" * 20] * 3), tmp_path)
    with pytest.raises(UsageError, match=r"too long a name, which comes from where the folder lies; shorten its path$"):
        place.refuse(baseline_for("toy:Tower"), "2.13.0")


def refusal(place: Place) -> str:
    with pytest.raises(UsageError) as refused:
        place.refuse(baseline_for("toy:Tower"), "2.13.0")
    return str(refused.value)


@pytest.mark.parametrize(
    ("testpaths", "told"),
    [
        ('["tests"]', True),
        ('"tests more"', True),
        ('["services/*/tests"]', False),
        ('["services"]', False),
        ('["."]', False),
        ("[]", False),
        ("3", False),
    ],
)
def test_a_test_that_pytest_does_not_collect_is_named(place: Place, testpaths: str, told: bool) -> None:
    assert place.uncollected() == ""
    (place.top / "pyproject.toml").write_text(f"[tool.pytest.ini_options]\ntestpaths = {testpaths}\n")
    sentence = (
        "tests/test_vlbench_services_vision.py: pytest does not collect it, for testpaths of ../../pyproject.toml "
        'leave it out; add "services/vision/tests" there'
    )
    assert place.uncollected() == (sentence if told else "")


def test_a_test_beside_the_settings_of_pytest_is_collected(place: Place) -> None:
    (place.folder / "pyproject.toml").write_text('[tool.pytest.ini_options]\ntestpaths = ["tests"]\n')
    assert place.uncollected() == ""
    (place.folder / "pyproject.toml").write_text('[tool.pytest.ini_options]\ntestpaths = ["checks"]\n')
    assert place.uncollected().endswith('testpaths of pyproject.toml leave it out; add "tests" there')


@pytest.mark.parametrize(
    ("name", "table"), [("pytest.ini", "pytest"), ("tox.ini", "pytest"), ("setup.cfg", "tool:pytest")]
)
def test_settings_of_pytest_are_looked_for_where_pytest_does(place: Place, name: str, table: str) -> None:
    (place.folder / "pyproject.toml").write_text("[project]\n")
    (place.top / name).write_text(f"[{table}]\ntestpaths = tests\n")
    assert place.uncollected().endswith(f'testpaths of ../../{name} leave it out; add "services/vision/tests" there')


def test_what_git_ignores_is_named(place: Place) -> None:
    (place.top / ".gitignore").write_text("results/\n")
    baseline = baseline_for("toy:Tower")
    assert place.ignored(baseline, place.test, place.seen(place.workflow)) == [str(baseline)]
    assert place.seen(place.workflow) == Path("../../.github/workflows/vlbench-services-vision.yml")


def test_what_a_gate_proposes_is_not_committed(place: Place) -> None:
    baseline = baseline_for("toy:Tower")
    folder = place.folder / baseline.parent
    folder.mkdir(parents=True)
    (folder / ".gitignore").write_text("*.tmp")
    assert place.ignore_proposals(baseline) == baseline.parent / ".gitignore"
    assert (folder / ".gitignore").read_text() == "*.tmp\n*.proposed.json\n", "what was there stays"
    assert place.ignored(proposal_path(baseline), baseline) == [str(proposal_path(baseline))]
    assert place.ignore_proposals(baseline_for("toy:Other")) is None


def test_a_folder_without_a_repository_is_its_own_top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert Place.here() == Place(tmp_path.resolve(), tmp_path.resolve(), in_git=False)
