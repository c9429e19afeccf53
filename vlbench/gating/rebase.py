"""Another torch counts otherwise without any change of the code: that difference is accepted apart from all others.

So does the attention of cuDNN, where a file is older than it.
"""

from pathlib import Path

from vlbench.comparing.counted_cells import why_gone
from vlbench.errors import IncomparableError, UsageError
from vlbench.gating.acceptance import acceptance, propose, seal
from vlbench.gating.changes import changes
from vlbench.gating.save import count_stored
from vlbench.process.git import changed_python, is_in_history, is_shallow, last_commit_of
from vlbench.record.baseline import Baseline
from vlbench.record.baseline_files import read_baseline
from vlbench.record.fingerprint import Fingerprint


def rebase(path: Path, reason: str, here: Fingerprint, by: str | None = None) -> Baseline:
    """Count the cells of `path` with the torch of `here` and store that; returns what is there now.

    Where cuDNN's attention was not known to the file, it is from then on.

    Raises UsageError where there is no other torch, IncomparableError where anything but torch may be the cause of a
    difference, or where a cell cannot be counted.
    """
    before = read_baseline(path)
    old = sorted({cell.key.torch_version for cell in before.counted})
    if not before.counted:
        raise UsageError(f"{path}: holds times alone, which belong to one torch; save it again with --force")
    if old == [here.torch.partition("+")[0]] and all(cell.key.cudnn for cell in before.counted):
        raise UsageError(f"{path}: was counted with torch {here.torch}, which is this one; there is nothing to rebase")
    _refuse_other_code(path, before)
    for cell in before.counted:
        if gone := why_gone(cell):
            raise IncomparableError(f"{path}: {cell.name}: {gone}; rebase where it does")
    after = propose(before, count_stored(path, before.counted).values(), here)
    entry = acceptance("rebased", reason, here.torch, changes(before, after), by)
    return seal(path, after, entry, before)


def _refuse_other_code(path: Path, before: Baseline) -> None:
    """Raises IncomparableError where Python files changed since the figures were accepted, or nobody can tell."""
    revision = _revision_of(path, before)
    changed = changed_python(revision) if revision else None
    if revision is None or changed is None:
        deepen = "bring the history that is cut here (`git fetch --unshallow`), or " if is_shallow() else ""
        raise IncomparableError(
            f"{path}: git does not know the code that was accepted, so nobody can tell what torch changed; "
            f"{deepen}run `vlbench gate` with the old torch, commit, and rebase then"
        )
    if changed:
        listed = " and ".join(changed[:2]) + (f" and {len(changed) - 2} more" if len(changed) > 2 else "")
        raise IncomparableError(
            f"{path}: {listed} changed since {revision[:9]}, where it was accepted, so a difference may not be "
            f"torch's: check that revision out (`git worktree add ../accepted {revision[:9]}`) and rebase there"
        )


def _revision_of(path: Path, before: Baseline) -> str | None:
    """Where the code is what was accepted: the revision of the last entry, or the commit that the file came with."""
    last = before.accepted[-1]
    if last.revision and not last.dirty and is_in_history(last.revision):
        return last.revision
    return last_commit_of(path)
