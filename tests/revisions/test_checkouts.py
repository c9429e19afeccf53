from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.repositories import commit, git, write
from tests.trial.plans import python_path
from vlbench.errors import UsageError
from vlbench.revisions.checkouts import checked_out


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two commits; the second changes a file and brings one that archives leave out."""
    folder = tmp_path / "a repository"
    commit(folder, {"pkg/tower.py": "SPEED = 1\n", "run.sh": "#!/bin/sh\n", ".gitignore": "built.so\n"})
    (folder / "run.sh").chmod(0o755)
    commit(folder, {"pkg/tower.py": "SPEED = 2\n", "pkg/Größe ß.txt": "x", ".gitattributes": "*.txt export-ignore\n"})
    monkeypatch.chdir(folder)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    return folder


def contents(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and ".git" not in path.relative_to(folder).parts
    }


def everything_in(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_each_side_has_the_files_of_its_revision(repository: Path) -> None:
    with checked_out(["main~1", "main"]) as (base, head):
        assert (base.here / "pkg/tower.py").read_text() == "SPEED = 1\n"
        assert contents(head.folder) == contents(repository)
        assert os.access(head.folder / "run.sh", os.X_OK)
        assert base.tree != head.tree
        assert base.words == f"main~1 ({base.commit[:9]})"


def test_the_working_tree_is_taken_as_it_is_but_for_what_git_ignores(repository: Path) -> None:
    write(repository, {"pkg/tower.py": "SPEED = 3\n", "new.py": "", "built.so": "binary"})
    (repository / "run.sh").unlink()
    wanted = contents(repository)
    del wanted["built.so"]
    with checked_out(["HEAD", "."]) as (base, head):
        write(repository, {"pkg/tower.py": "SPEED = 4\n"})  # while it is being measured
        assert contents(head.folder) == wanted
        assert head.changed
        assert head.words == f"the working tree (at {base.commit[:9]}, with changes)"
        assert base.words.startswith("HEAD (")


def test_a_change_in_the_very_moment_of_the_commit_is_seen(repository: Path) -> None:
    tower, index = repository / "pkg/tower.py", repository / ".git/index"
    git(repository, "config", "core.trustctime", "false")
    moment = (index.stat().st_mtime_ns - 10**10,) * 2
    os.utime(tower, ns=moment)
    git(repository, "update-index", "--refresh")
    tower.write_text("SPEED = 3\n")  # as long as before, and as old
    for path in (tower, index):
        os.utime(path, ns=moment)
    with checked_out(["."]) as (head,):
        assert contents(head.folder)["pkg/tower.py"] == "SPEED = 3\n"


def test_a_clean_working_tree_is_its_commit(repository: Path) -> None:
    with checked_out(["HEAD", "."]) as (base, head):
        assert base.tree == head.tree
        assert not head.changed
        assert contents(base.folder) == contents(head.folder)


def test_the_repository_stays_as_it_is_to_the_last_byte(repository: Path) -> None:
    write(repository, {"pkg/tower.py": "SPEED = 3\n", "new.py": ""})
    git(repository, "add", "new.py")
    write(repository / ".git/hooks", {"post-checkout": "#!/bin/sh\ntouch ran\n", "post-index-change": "touch ran\n"})
    for hook in (repository / ".git/hooks").iterdir():
        hook.chmod(0o755)
    before = everything_in(repository)
    with checked_out(["HEAD~1", "."]):
        pass
    assert everything_in(repository) == before


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit, ZeroDivisionError])
def test_the_folders_are_gone_however_it_ends(repository: Path, end: type[BaseException]) -> None:
    folders: list[Path] = []

    def measure() -> None:
        with checked_out(["HEAD", "."]) as revisions:
            folders.extend(revision.folder for revision in revisions)
            raise end

    with pytest.raises(end):
        measure()
    assert len(folders) == 2
    assert not any(folder.parent.parent.exists() for folder in folders)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_the_folders_are_gone_after_a_signal(repository: Path, number: int, code: int) -> None:
    program = (  # a test that runs in the background has SIGINT ignored, and its children inherit that
        "import signal, time; from vlbench.revisions.checkouts import checked_out\n"
        "from vlbench.process.signals import ending_in_order\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "with ending_in_order(), checked_out(['HEAD', '.']) as (base, head):\n"
        "    print(base.folder, flush=True); time.sleep(60)"
    )
    env = os.environ | {"PYTHONPATH": python_path()}
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=env
    ) as child:
        assert child.stdout is not None
        folder = Path(child.stdout.readline().strip())
        assert (folder / "pkg").is_dir()
        child.send_signal(number)
        assert child.wait() == code
    assert not folder.parent.parent.exists()


def test_a_folder_inside_the_repository_is_the_same_folder_there(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository / "pkg")
    with checked_out(["HEAD", "."]) as (base, head):
        for revision in (base, head):
            assert (revision.here / "tower.py").read_text() == "SPEED = 2\n"
            assert (revision.folder / "run.sh").exists()


@pytest.mark.parametrize("name", ["nowhere", "--help", "HEAD~9", "", "main..main~1"])
def test_an_unknown_revision_is_one_sentence(repository: Path, name: str) -> None:
    with pytest.raises(UsageError, match="is no revision of") as caught, checked_out(["HEAD", name]):
        pass
    assert "\n" not in str(caught.value)
    assert str(repository) in str(caught.value)


def test_outside_of_a_repository_there_is_nothing_to_compare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(UsageError, match=r"not a git repository.*run this inside"), checked_out(["HEAD", "."]):
        pass


def test_a_repository_without_a_commit_has_no_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(tmp_path, "init", "--quiet")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="'HEAD' is no revision"), checked_out(["HEAD", "."]):
        pass


def test_without_git_it_says_so(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError, match="there is no git here"), checked_out(["HEAD", "."]):
        pass
