"""What must be judged is that of the merge base: the baselines that it holds, whatever a change made of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vlbench.errors import IncomparableError, UsageError
from vlbench.process.git import UnreadError, commit_of, files_at, is_shallow, merge_base, revision, text_at
from vlbench.record.baseline import Baseline
from vlbench.record.baseline_files import is_baseline, parse_baseline, why_unfit

LEFT_OUT = "--first leaves it out, for the pull request that mends it"


@dataclass(frozen=True)
class Base:
    """The merge base of a revision and the one that is checked out."""

    name: str
    """As it was given."""
    commit: str
    tip: str
    """The commit that the name stands for."""

    @property
    def words(self) -> str:
        """Such as "the merge base with main (1a2b3c4d5)"."""
        return f"the merge base with {self.name} ({self.commit[:9]})"


def base_of(name: str) -> Base:
    """The merge base of `name` and HEAD.

    Raises IncomparableError, with the command to run, where git knows none, and UsageError for a name that it does not
    know although it has the whole history.
    """
    if revision() is None:
        raise IncomparableError(f"--base {name}: there is no commit here; run this inside of the repository")
    tip, remote, branch = commit_of(name), *name.rpartition("/")[::2]
    deepen = f"`git fetch --unshallow {remote or 'origin'}`, or fetch-depth: 0 of actions/checkout, brings the rest"
    if tip is None:
        unknown = f"--base {name}: git knows no such commit, branch or tag"
        if is_shallow():
            raise IncomparableError(f"{unknown}, for the history here is cut: {deepen}")
        fetch = f"`git fetch {remote} {branch}`" if remote else f"`git fetch origin {name}:{name}`"
        raise UsageError(f"{unknown}; {fetch} brings a branch")
    commit = merge_base(tip)
    if commit is None:
        why = f"for the history here is cut: {deepen}" if is_shallow() else "for they share no history; name another"
        raise IncomparableError(f"--base {name}: it has no merge base with HEAD, {why}")
    return Base(name, commit, tip)


def baselines_at(base: Base, given: Sequence[Path], folder: Path, *, first: bool) -> dict[Path, Baseline]:
    """The `given` baselines of the merge base, or all that its `folder` had; none where `first` brings them.

    Raises IncomparableError where there are none and `first` is False, where `first` is said and the revision has them
    by now, and for one that nothing can be gated on.
    """
    found = _read(base.commit, base.words, given, folder, skip=first)
    if found or first:
        if not found and _read(base.tip, base.name, given, folder, skip=True):
            raise IncomparableError(
                f"--first: {base.name} has a baseline, and {base.words} is from before it; `git rebase {base.name}`"
            )
        return found
    where = ", ".join(map(str, given)) or f"a baseline in {folder}"
    raise IncomparableError(
        f"{base.words} does not have {where}, so nothing says what must hold; for the pull request that brings the "
        f"first one: `vlbench gate --base {base.name} --first`"
    )


def _read(commit: str, words: str, given: Sequence[Path], folder: Path, *, skip: bool) -> dict[Path, Baseline]:
    """Those that can be gated on; what cannot is left out if `skip`, and raised otherwise."""
    found = {}
    for path in given or sorted(path for path in files_at(commit, folder) if is_baseline(path.name)):
        try:
            if (text := text_at(commit, path)) is None:
                continue
            baseline = parse_baseline(text, f"{path} of {words}")
            if why := why_unfit(baseline):
                raise IncomparableError(f"{path} of {words}: {why}")
            found[path] = baseline
        except UnreadError:
            raise
        except UsageError as error:
            if not skip:
                raise IncomparableError(f"{error}; {LEFT_OUT}") from None
    return found
