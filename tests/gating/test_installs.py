"""What pip is told in the workflow: records as pip and uv leave them, and projects of several kinds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vlbench import __version__
from vlbench.errors import UsageError
from vlbench.gating import installs as module
from vlbench.gating.installs import Installs, installs, of_record

TOP = Path("/repo")
FOLDER = TOP / "services" / "vision"
GIT = {"vcs": "git", "requested_revision": "main", "commit_id": "0123abc"}
RECORDS: list[tuple[dict[str, Any] | None, tuple[str, ...], str]] = [
    (None, (f"vlbench=={__version__}",), ""),
    ({"url": "https://h/v.git", "vcs_info": GIT}, ("git+https://h/v.git@0123abc",), ""),
    (
        {"url": "https://h/v.git", "vcs_info": GIT, "subdirectory": "py"},
        ("git+https://h/v.git@0123abc#subdirectory=py",),
        "",
    ),
    (
        {"url": "file:///home/me/v", "vcs_info": GIT},
        ("git+file:///home/me/v@0123abc",),
        "git+file:///home/me/v@0123abc",
    ),
    ({"url": "https://h/v-1-py3-none-any.whl", "archive_info": {}}, ("https://h/v-1-py3-none-any.whl",), ""),
    ({"url": "file:///home/my%20own/v.whl", "archive_info": {}}, ("/home/my own/v.whl",), "/home/my own/v.whl"),
    ({"url": "file:///repo/wheels/v.whl", "archive_info": {}}, ("../../wheels/v.whl",), ""),
    ({"url": "file:///home/me/v", "dir_info": {}}, ("/home/me/v",), "/home/me/v"),
    ({"url": "file:///home/me/v", "dir_info": {"editable": True}}, ("--editable", "/home/me/v"), "/home/me/v"),
    ({"url": "file:///repo/services/vision/v", "dir_info": {"editable": True}}, ("--editable", "./v"), ""),
]


@pytest.mark.parametrize(("record", "arguments", "only_here"), RECORDS)
def test_vlbench_comes_from_where_it_was_installed_here(
    record: dict[str, Any] | None, arguments: tuple[str, ...], only_here: str
) -> None:
    assert of_record(record, FOLDER, TOP) == Installs(arguments, only_here)


def test_what_a_peer_needs_comes_with_it() -> None:
    wheel = {"url": "file:///repo/v.whl", "archive_info": {}}
    assert of_record(wheel, FOLDER, TOP, "[peers]").arguments == ("../../v.whl[peers]",)
    git = {"url": "https://h/v.git", "vcs_info": GIT}
    assert of_record(git, FOLDER, TOP, "[peers]").arguments == ("vlbench[peers] @ git+https://h/v.git@0123abc",)
    assert of_record(None, FOLDER, TOP, "[peers]").arguments == (f"vlbench[peers]=={__version__}",)


PROJECTS: list[tuple[dict[str, str], list[str]]] = [
    ({}, []),
    ({"services/vision/requirements.txt": "einops\n"}, ["--requirement", "requirements.txt"]),
    ({"services/vision/pyproject.toml": "[tool.ruff]\n"}, []),
    ({"services/vision/pyproject.toml": "[project]\n"}, ["--editable", "."]),
    ({"services/vision/setup.py": ""}, ["--editable", "."]),
    (
        {"requirements.txt": "einops\n", "pyproject.toml": "[build-system]\n"},
        ["--requirement", "../../requirements.txt", "--editable", "../.."],
    ),
    ({"services/vision/setup.cfg": "", "requirements.txt": "einops\n"}, ["--editable", "."]),
]


@pytest.mark.parametrize(("files", "arguments"), PROJECTS)
def test_the_project_and_its_requirements_come_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], arguments: list[str]
) -> None:
    monkeypatch.setattr(module, "_record", lambda: None)
    folder = tmp_path / "services" / "vision"
    folder.mkdir(parents=True)
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert list(installs(folder, tmp_path).arguments) == [f"vlbench=={__version__}", *arguments]


@pytest.mark.parametrize(
    "line",
    ["vlbench", "vlbench[peers]==0.1", "vlbench @ git+https://h/v", "git+https://h/vlbench.git", "-e ../vlbench"],
)
def test_requirements_that_name_vlbench_say_where_it_comes_from(tmp_path: Path, line: str) -> None:
    (tmp_path / "requirements.txt").write_text(f"einops\n{line}\n")
    assert installs(tmp_path, tmp_path).arguments == ("--requirement", "requirements.txt")
    (tmp_path / "requirements.txt").write_text("vlbench-plots\n")
    assert len(installs(tmp_path, tmp_path).arguments) > 2


def test_vlbench_in_its_own_repository_is_installed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    monkeypatch.setattr(module, "_record", lambda: {"url": tmp_path.as_uri(), "dir_info": {"editable": True}})
    assert installs(tmp_path, tmp_path, "[peers]") == Installs(("--editable", ".[peers]"))


def test_a_broken_project_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project\n")
    with pytest.raises(UsageError, match=r"pyproject\.toml: not TOML .*since the workflow installs it"):
        installs(tmp_path, tmp_path)
