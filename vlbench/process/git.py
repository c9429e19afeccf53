"""What git says of the folder that is measured in. Nothing that a repository's configuration names is run for it."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from vlbench.untrusted.limits import Limit

PYTHON = ":(top)*.py"
"""Every Python file of the checkout, from whichever of its folders git is asked."""


_QUIET = {
    "color.grep": "false",
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "core.quotePath": "false",
    "core.sparseCheckout": "false",
    "diff.relative": "false",
    "format.pretty": "medium",
    "grep.fullName": "false",
    "log.follow": "false",
    "log.showSignature": "false",
    "submodule.recurse": "false",
}
"""Settings that start a program, or that change what is said; a repository that somebody hands over may have any."""
_PLACES = frozenset(
    f"GIT_{each}"
    for each in ["DIR", "WORK_TREE", "INDEX_FILE", "OBJECT_DIRECTORY", "COMMON_DIR", "PREFIX", "NAMESPACE"]
)
"""Variables that lead git to another repository than the current folder's; inside of a hook they are set."""


def run_git(*arguments: str, own: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run `git ARGUMENTS` on the current folder's repository, with `own` variables added. Raises OSError without git.

    No hook, no monitor of files, no signature check is run, and nothing is fetched.
    """
    settings = [part for name, value in _QUIET.items() for part in ("-c", f"{name}={value}")]
    kept = {name: value for name, value in os.environ.items() if name not in _PLACES}
    return subprocess.run(
        ["git", "--no-pager", *settings, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        env=kept | {"GIT_NO_LAZY_FETCH": "1", "GIT_OPTIONAL_LOCKS": "0"} | dict(own or {}),
    )


def git(*arguments: str) -> str | None:
    """What `git ARGUMENTS` prints here, without the last newline; None where it fails or there is no git."""
    try:
        done = run_git(*arguments)
    except OSError:
        return None
    return None if done.returncode else done.stdout.rstrip("\n")


def git_lines(*arguments: str) -> list[str] | None:
    """The lines of what `git` says, as it ends them: a name may hold what only Python takes for the end of a line."""
    said = git(*arguments)
    return None if said is None else said.split("\n") if said else []


def one_line(subject: str) -> str:
    """The subject of a commit without what ends a line, be it for git or for a terminal."""
    return " ".join(subject.split())


def top() -> Path | None:
    """The folder of this checkout; None outside of one."""
    found = git("rev-parse", "--show-toplevel")
    return None if found is None else Path(found)


def revision() -> str | None:
    """The revision that is checked out; None outside a checkout, or in one without commits."""
    return git("rev-parse", "--verify", "--quiet", "HEAD")


def changed_python(since: str) -> list[str] | None:
    """Python files that are not as they were at `since`, untracked ones included; None where git does not know it."""
    tracked = git_lines("diff", "--name-only", since, "--", PYTHON)
    untracked = git_lines("ls-files", "--others", "--exclude-standard", "--full-name", "--", PYTHON)
    if tracked is None or untracked is None:
        return None
    return [*tracked, *untracked]


def is_dirty() -> bool | None:
    """Are there uncommitted changes of Python files? None outside a checkout."""
    changed = changed_python("HEAD")
    return None if changed is None else bool(changed)


def committed(path: Path) -> str | None:
    """The text of `path` at HEAD; None where it is not committed."""
    folder, name = path.resolve().parent, path.name
    return git("-C", str(folder), "show", f"HEAD:./{name}")


def last_commit_of(path: Path) -> str | None:
    """The commit that last changed `path`; None where it has changed since, or was never committed."""
    folder, name = path.resolve().parent, path.name
    if git("-C", str(folder), "status", "--porcelain", "--", name) != "":
        return None
    return git("-C", str(folder), "log", "-1", "--format=%H", "--", name) or None


def commit_of(name: str) -> str | None:
    """The commit that a branch, a tag or another name stands for; None where git does not know it."""
    return git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")


def refs_named(name: str) -> list[str]:
    """All branches and tags of that name, in full."""
    kinds = (f"refs/{kind}/{name}" for kind in ("heads", "tags", "remotes"))
    return git_lines("for-each-ref", "--format=%(refname)", *kinds) or []


def merge_base(commit: str) -> str | None:
    """The best common ancestor of a commit and what is checked out; None where git knows none."""
    return git("merge-base", commit, "HEAD")


def is_in_history(commit: str) -> bool:
    """Is a commit the one that is checked out, or did that come from it? A rebase leaves others behind."""
    return git("merge-base", "--is-ancestor", commit, "HEAD") is not None


def is_shallow() -> bool:
    """Was the history cut when this was cloned?"""
    return git("rev-parse", "--is-shallow-repository") == "true"


def text_at(commit: str, path: Path) -> str | None:
    """The text of a file at a commit; None where it was not there, or was no regular file.

    Raises UsageError for one that is too large for what is read there.
    """
    seen = os.path.relpath(path)
    entry = git("ls-tree", "--long", commit, "--", seen)
    if not entry or not entry.startswith("100"):
        return None
    Limit.DOCUMENT.check(int(entry.split()[3]), f"{path} at {commit}", "make it smaller there")
    return git("show", f"{commit}:{seen if seen.startswith('..') else f'./{seen}'}")


def files_at(commit: str, folder: Path) -> list[Path]:
    """What a folder held at a commit, as `folder` is written."""
    listed = git("ls-tree", "-z", "--name-only", commit, "--", f"{os.path.relpath(folder)}/")
    return [folder / Path(name).name for name in (listed or "").split("\0") if name]


def user_name() -> str | None:
    """The name that git writes into commits."""
    return git("config", "user.name") or None
