"""What git says of the folder that is measured in. Nothing that a repository's configuration names is run for it."""

import os
import subprocess
from collections.abc import Collection, Mapping
from itertools import accumulate
from pathlib import Path

from vlbench.errors import IncomparableError, UsageError
from vlbench.untrusted.limits import Limit

PYTHON = ":(top)*.py"
"""Every Python file of the checkout, from whichever of its folders git is asked."""
REFETCH = "`git fetch --refetch --no-filter` brings what a filter left out; for actions/checkout, fetch-depth: 0 alone"


_QUIET = {
    "color.grep": "false",
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "core.quotePath": "false",
    "core.sparseCheckout": "false",
    "core.warnAmbiguousRefs": "true",
    "diff.relative": "false",
    "format.pretty": "medium",
    "grep.fullName": "false",
    "grep.patternType": "basic",
    "log.follow": "false",
    "log.showSignature": "false",
    "submodule.recurse": "false",
}
"""Settings that start a program, or that change what is said; a repository that somebody hands over may have any."""
_KEPT = ("GIT_CEILING_DIRECTORIES", "GIT_CONFIG_", "GIT_DISCOVERY_ACROSS_FILESYSTEM", "GIT_EXEC_PATH")
"""Of git's variables those that say whose git this is. Others lead to another repository, as in a hook, or change what
a name or a pattern means."""
_OURS = {"GIT_NO_LAZY_FETCH": "1", "GIT_NO_REPLACE_OBJECTS": "1", "GIT_OPTIONAL_LOCKS": "0", "LANGUAGE": "C"}


def run_git(*arguments: str, own: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run `git ARGUMENTS` on the current folder's repository, with `own` variables added. Raises OSError without git.

    No hook, no monitor of files, no signature check is run, and nothing is fetched.
    """
    settings = [part for name, value in _QUIET.items() for part in ("-c", f"{name}={value}")]
    kept = {name: value for name, value in os.environ.items() if name.startswith(_KEPT) or not name.startswith("GIT_")}
    return subprocess.run(
        ["git", "--no-pager", *settings, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        env=kept | _OURS | dict(own or {}),
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


class UnreadError(IncomparableError):
    """git failed on what the repository holds, so nobody can say that it is not there."""


def read_git(*arguments: str, fine: Collection[int] = (0,)) -> str:
    """What `git ARGUMENTS` prints here, without the last newline. Raises UnreadError for an error or another code."""
    done = run_git(*arguments)
    said = fault_of(done)
    if done.returncode not in fine or said.startswith(("fatal: ", "error: ")):
        remedy = REFETCH if is_partial() else "`git fsck` says what is broken"
        raise UnreadError(f"git {arguments[0]} cannot read what the repository holds ({said}); {remedy}")
    return done.stdout.rstrip("\n")


def fault_of(done: subprocess.CompletedProcess[str]) -> str:
    """The line in which git says what went wrong; warnings may come first."""
    lines = done.stderr.strip().splitlines() or ["it says nothing"]
    return next((line for line in lines if line.startswith(("fatal: ", "error: "))), lines[0])


def is_partial() -> bool:
    """Did a filter leave objects out when this was cloned?"""
    return git("config", "--get-regexp", r"^remote\..*\.promisor$") is not None


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
    tracked = git_lines("diff", "--name-only", "--no-renames", since, "--", PYTHON)
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
    """The commit that last changed `path`; None where it has changed since, was never committed, or nobody can tell."""
    folder, name = path.resolve().parent, path.name
    if git("-C", str(folder), "status", "--porcelain", "--", name) != "":
        return None
    found = git("-C", str(folder), "log", "-1", "--format=%H", "--", name)
    if not found or (is_shallow() and commit_of(f"{found}^") is None):  # where history is cut, all seems to be new
        return None
    return found


def commit_of(name: str) -> str | None:
    """The commit that a branch, a tag or another name stands for; None where git does not know it.

    Raises UsageError for a name of several, of which git would take one without a word.
    """
    try:
        done = run_git("rev-parse", "--verify", "--end-of-options", f"{name}^{{commit}}")
    except OSError:
        return None
    if "is ambiguous" in done.stderr and not done.returncode:
        raise UsageError(f"{name}: several branches, tags or commits have that name; write in full which one is meant")
    return None if done.returncode else done.stdout.strip()


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
    """The text of a file at a commit; None where it was not there, or was a folder.

    Raises UsageError for one that is too large for what is read there, and IncomparableError as `_followed` does.
    """
    _, entry = _followed(commit, path)
    if not entry.startswith("100"):
        return None
    blob = entry.split()[2]
    Limit.DOCUMENT.check(int(read_git("cat-file", "-s", blob)), f"{path} at {commit}", "make it smaller there")
    return read_git("cat-file", "blob", blob)


def files_at(commit: str, folder: Path) -> list[Path]:
    """What a folder held at a commit, as `folder` is written. Raises IncomparableError as `_followed` does."""
    inside, _ = _followed(commit, folder)
    below = [] if inside == os.curdir else [f"{inside}/"]
    listed = read_git("ls-tree", "-z", "--name-only", "--full-tree", commit, "--", *below)
    return [folder / Path(name).name for name in listed.split("\0") if name]


def _followed(commit: str, path: Path) -> tuple[str, str]:
    """Where `path` lies at a commit, seen from the top, by the links of that commit, and its entry; "" for none.

    Raises IncomparableError for what lies elsewhere, as in a submodule, and UnreadError where git cannot tell.
    """
    seen = os.path.relpath(path, top() or Path())
    for _ in range(40):  # as many links as Linux follows
        if seen == os.curdir:
            return seen, ""
        if seen.split(os.sep)[0] in ("", os.pardir):
            break
        ahead = list(accumulate(seen.split(os.sep), os.path.join))
        listed = read_git("ls-tree", "-z", "--full-tree", commit, "--", *ahead).split("\0")
        entries = {name: entry for entry, _, name in (each.partition("\t") for each in listed) if name in ahead}
        name, entry = next(((n, e) for n, e in entries.items() if e.startswith(("12", "16"))), ("", ""))
        if not name:
            return seen, entries.get(seen, "")
        if entry.startswith("16"):
            break
        target = read_git("cat-file", "blob", entry.split()[2])
        seen = os.path.normpath(os.path.join(os.path.dirname(name), target, os.path.relpath(seen, name)))
    raise IncomparableError(f"{path} at {commit[:9]}: lies outside of what this repository holds; put it inside there")


def user_name() -> str | None:
    """The name that git writes into commits."""
    return git("config", "user.name") or None
