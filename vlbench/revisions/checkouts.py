"""Revisions of the repository in the current folder, each written into a folder of its own that is gone afterwards.

The files come out of an index in a temporary folder. So the repository's own index, worktrees, hooks and objects stay
as they are, and a process that is killed leaves nothing in them, as a git worktree would; and nothing is left out, as
an archive leaves out what is marked export-ignore. What git ignores, such as compiled extensions, is not there.
"""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vlbench.errors import IncomparableError, UsageError
from vlbench.process.git import REFETCH, commit_of, fault_of, is_partial, one_line, run_git
from vlbench.process.scratch import Scratch

WORKING_TREE = "."


@dataclass(frozen=True)
class Revision:
    """One side of a comparison, as files."""

    name: str
    """As it was given."""
    commit: str
    """Of the working tree: the one that is checked out."""
    tree: str
    """git's name of these very files: equal where the files are."""
    folder: Path
    """Where they lie."""
    prefix: str
    """The current folder, as seen from the top of the repository; "" at the top."""
    changed: bool = False
    """Of the working tree: does it differ from its commit?"""

    @property
    def words(self) -> str:
        """What a report calls it: `main (1a2b3c4d5)`, or the working tree with or without changes."""
        if self.name == WORKING_TREE:
            return f"the working tree (at {self.commit[:9]}, {'with' if self.changed else 'without'} changes)"
        return f"{self.name} ({self.commit[:9]})" if not self.commit.startswith(self.name) else self.commit[:9]

    @property
    def here(self) -> Path:
        """What the current folder is in it."""
        return self.folder / self.prefix


@contextmanager
def checked_out(names: Sequence[str]) -> Iterator[list[Revision]]:
    """The files of each of `names`: anything that git knows as a commit, or `.` for the working tree as it is now.

    Raises UsageError outside of a repository and for a revision that there is not.
    """
    top = Path(_git("rev-parse", "--show-toplevel"))
    prefix = _git("rev-parse", "--show-prefix")
    commits = [_commit("HEAD" if name == WORKING_TREE else name, top) for name in names]
    with Scratch() as scratch:
        found = []
        for number, (name, commit) in enumerate(zip(names, commits, strict=True)):
            draft = Path(scratch).resolve() / str(number)
            draft.mkdir()
            tree = _write(top, commit, draft, as_it_is=name == WORKING_TREE)
            changed = tree != _git("rev-parse", f"{commit}^{{tree}}", at=top)
            found.append(Revision(name, commit, tree, draft / "files", prefix, changed))
        yield found


@contextmanager
def patched(base: str, patch: Path) -> Iterator[Revision]:
    """The files of a revision with a patch applied, which git has to take as it is. Raises UsageError."""
    top = Path(_git("rev-parse", "--show-toplevel"))
    commit, prefix = _commit(base, top), _git("rev-parse", "--show-prefix")
    with Scratch() as scratch:
        draft = Path(scratch).resolve()
        tree = _write(top, commit, draft, patch=patch.resolve())
        yield Revision(patch.name, commit, tree, draft / "files", prefix, changed=True)


@dataclass(frozen=True)
class Commit:
    """One revision of a range."""

    name: str
    subject: str

    @property
    def words(self) -> str:
        """What a report calls it."""
        return f"{self.name[:9]} ({self.subject})"


MOST_COMMITS = 10_000
"""A range of more revisions is refused."""


def commits_between(text: str, option: str = "--over") -> list[Commit]:
    """The revisions of `FIRST..LAST`, both ends among them, the oldest first, along the first parents of LAST.

    Raises UsageError for what is no such range.
    """
    first, dots, last = text.partition("..")
    if not dots or not first or not last or last.startswith("."):
        raise UsageError(f"{option} {text!r}: write it as FIRST..LAST, such as v1.0..HEAD")
    top = repository()
    begin, end = (_commit(name, top) for name in (first, last))
    said = _git("log", "-z", "--reverse", "--first-parent", "--format=%H %s", f"{begin}..{end}", at=top)
    between = [_told(entry) for entry in said.split("\0") if entry]
    if not between:
        raise UsageError(f"{option} {text}: nothing leads from {first} to {last}; write the older one first")
    if len(between) > MOST_COMMITS:
        raise UsageError(
            f"{option} {text}: {len(between):,} revisions are more than {MOST_COMMITS:,}; name ends that are nearer"
        )
    return [_told(_git("log", "-1", "--format=%H %s", begin, at=top)), *between]


def _told(entry: str) -> Commit:
    name, _, subject = entry.partition(" ")
    return Commit(name, one_line(subject))


def repository() -> Path:
    """The top of the repository that the current folder lies in. Raises UsageError."""
    return Path(_git("rev-parse", "--show-toplevel"))


def _commit(name: str, top: Path) -> str:
    if (found := commit_of(name)) is None:
        raise UsageError(
            f"{name!r} is no revision of {top}; give a commit, branch or tag that is there; in a shallow clone, "
            "fetch it first"
        )
    return found


def _write(top: Path, commit: str, draft: Path, *, as_it_is: bool = False, patch: Path | None = None) -> str:
    """Write the files of a commit, with a patch, or of the working tree, into `draft`/files; the name of their tree."""
    own = {"GIT_INDEX_FILE": str(draft / "index")}
    if as_it_is or patch:
        (draft / "objects").mkdir()
        real = Path(_git("rev-parse", "--git-path", "objects", at=top))
        own |= {"GIT_OBJECT_DIRECTORY": str(draft / "objects"), "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(top / real)}
    if as_it_is:
        index = top / _git("rev-parse", "--git-path", "index", at=top)
        if index.exists():  # it says which files are as they were
            shutil.copy2(index, draft / "index")  # and its time, or git trusts files as old as the index that changed
        _git("add", "--all", at=top, own=own)
    else:
        _git("read-tree", commit, at=top, own=own)
    if patch:
        _git("apply", "--cached", "--whitespace=nowarn", str(patch), at=top, own=own)
    _git("checkout-index", "--all", "--quiet", f"--prefix={draft / 'files'}{os.sep}", at=top, own=own)
    return _git("write-tree", at=top, own=own)


def _git(*arguments: str, at: Path | None = None, own: Mapping[str, str] | None = None) -> str:
    """What git prints, without the last newline. Raises UsageError with what it says where it fails."""
    place = [] if at is None else ["-C", str(at)]
    try:
        done = run_git(*place, *arguments, own=own)
    except FileNotFoundError:
        raise UsageError("there is no git here; two revisions can only be compared with it, so install it") from None
    if done.returncode:
        said = fault_of(done).removeprefix("fatal: ")
        if arguments[0] in ("read-tree", "checkout-index") and is_partial():
            raise IncomparableError(f"git {arguments[0]} in {at}: {said}; {REFETCH}")
        raise UsageError(
            f"git {arguments[0]} in {at or Path.cwd()}: {said}; run this inside the repository to compare revisions of"
        )
    return done.stdout.removesuffix("\n")
