"""Where results go: checked before anything is measured, held while it is, and never replaced without a word.

One rule for every file that a command writes: what is there stays, unless `--force` says otherwise. Where no file is
named, the first free one of a series is taken. An empty file, a device and a pipe can be written to as they are.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from errno import ENXIO
from itertools import count
from pathlib import Path
from time import monotonic, sleep
from typing import TextIO

from vlbench.errors import UsageError, check_folder_of, not_written, resolved
from vlbench.record.locks import lock

PROBE = bytes(2**16)
"""Written and removed, to see that there is room for anything."""
NAME_MAX = 255
"""Bytes that the name of a file may have, on the usual file systems."""
LONGEST = 32
"""Bytes that the names of files beside an output are longer than its own, at most."""

JOURNAL = ".journal.jsonl"
START_OF_A_READER = 0.5
"""Seconds in which a reader that is started at the same time opens its pipe."""
_HELD: dict[Path, int] = {}
"""Pipes that were found to have a reader, held open until they are written: a reader ends when the last writer does."""
_CLAIMED: dict[Path, tuple[str, Path]] = {}
"""What the running command writes, resolved: the option that names it, and as it does."""


def forget_claims() -> None:
    """A command begins, or ends."""
    _CLAIMED.clear()


def claim(path: Path, option: str) -> Path:
    """Resolve what `option` of the running command writes. Raises UsageError where another option writes it, too."""
    goal = resolved(path, f"{option} {path}".strip())
    other, named = _CLAIMED.get(goal, (option, path))
    if other != option and (goal.is_file() or not goal.exists()):  # no terminal, and not /dev/null
        raise UsageError(f"{other} and {option} both name {named}; give each a file of its own")
    _CLAIMED[goal] = (option, path)
    return goal


def check_folder(folder: Path, named: str, otherwise: str = " or choose another") -> None:
    """Raises UsageError, which begins with `named`, where the folder cannot be made, or may not be written to.

    `otherwise` is what else to do than to mend that; "" where the folder has to be this one.
    """
    nearest = next(each for each in (folder, *folder.parents) if os.path.lexists(each))
    if not nearest.is_dir():
        raise UsageError(f"{named}: {nearest} is in the way, for it is no folder; move it{otherwise}")
    if not os.access(nearest, os.W_OK):
        raise UsageError(f"{named}: nothing may be written to {nearest}; change its permissions{otherwise}")


def check_dump(folder: Path) -> None:
    """Raises UsageError where a dump cannot be written to `folder`, which may be there and has to hold none."""
    check_folder(folder, f"--dump {folder}")
    check_folder_of(folder, f"--dump {folder}")
    if taken := next(folder.glob("*.safetensors"), None):
        raise UsageError(f"--dump {folder}: {taken.name} is there already; choose another folder")


def check_output(path: Path, option: str, *, force: bool = False) -> None:
    """Raises UsageError, which begins with `option`, where `path` cannot be written, or is there and may not be
    replaced.

    Writes and removes a small file beside it.
    """
    named = f"{option} {path}".strip()
    if len(os.fsencode(path.name)) + LONGEST > NAME_MAX:
        raise UsageError(f"{option}: a name too long for the files that are written beside it; choose a shorter one")
    if str(path) == "-":
        raise UsageError(f"{named}: stands for nothing here; name /dev/stdout, or ./results.json for a file")
    if path.is_dir():
        raise UsageError(f"{named}: a folder; give a file, such as {path / 'results.json'}")
    check_folder_of(path, named)
    goal = claim(path, option)
    check_folder_of(goal, named)
    if goal.exists() and not os.access(goal, os.W_OK):
        raise UsageError(f"{named}: may not be written; change its permissions or choose another")
    if goal.is_fifo() and goal not in _HELD:
        _HELD[goal] = _pipe(goal, named)
    if goal.exists() and not goal.is_file():
        return
    if goal.exists() and goal.stat().st_size and not force:
        raise UsageError(f"{named}: there is a file already; --force replaces it, or choose another name")
    draft = goal.with_name(f".{goal.name}.{os.getpid()}")
    try:
        with draft.open("wb") as file:
            file.write(PROBE)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise not_written(named, error) from None
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


OTHERWISE = {".csv": "csv", ".md": "markdown", ".xml": "junit", ".svg": "svg"}
"""Names that stand for another format than results have, with the option that writes it."""


def check_results_file(path: Path, option: str = "--out", *, resume: bool = False, force: bool = False) -> None:
    """Raises UsageError as `check_output` does, for a name that says another format, and for nothing to resume.

    Asked before anything heavy is imported.
    """
    if other := OTHERWISE.get(path.suffix.lower()):
        raise UsageError(f"{option} {path}: results are JSON; name a .json file, and take --{other} for tables")
    check_output(path, option, force=force or resume)
    if resume and (path.is_file() or not path.exists()):
        _check_journal(journal_of(resolved(path, option)))


def _check_journal(journal: Path) -> None:
    """Raises UsageError where there is no run to go on with, and names one that there is beside it."""
    if not journal.exists():
        waiting = sorted(journal.parent.glob(f"*{JOURNAL}"))
        named = waiting[0].name.removesuffix(JOURNAL) if waiting else ""
        hint = f"--out {named}.json has one that was interrupted" if waiting else "leave it out"
        raise UsageError(f"--resume: there is no interrupted run ({journal.name} does not exist); {hint}")


def open_output(path: Path, named: str, *, append: bool = False) -> TextIO:
    """Opens what is written as a whole or in addition, in UTF-8. Raises UsageError for a pipe that nobody reads."""
    goal = resolved(path, named)
    if not goal.is_fifo():
        return path.open("a" if append else "w", encoding="utf-8", newline="")
    held = _HELD.pop(goal, None) or _pipe(goal, named)
    os.set_blocking(held, True)
    return open(held, "w", encoding="utf-8", newline="")


def _pipe(goal: Path, named: str) -> int:
    """A pipe to write to, if anybody reads it: to open it otherwise waits without end."""
    until = monotonic() + START_OF_A_READER
    try:
        while True:
            with suppress(OSError) if monotonic() < until else nullcontext():
                return os.open(goal, os.O_WRONLY | os.O_NONBLOCK)
            sleep(0.02)
    except OSError as error:
        why = "nobody reads it" if error.errno == ENXIO else error.strerror
        raise UsageError(f"{named}: a pipe, and {why}; start its reader first, or name a file") from None


@contextmanager
def reserved(path: Path, option: str = "--out", *, resume: bool = False, force: bool = False) -> Iterator[Path | None]:
    """Hold `path` until the end of the context; gives the journal beside it, None for what is no regular file.

    Raises UsageError where `check_output` does, where another run holds it, and for a journal that is not to go on.
    """
    named = f"{option} {path}"
    check_results_file(path, option, force=force or resume)
    goal = resolved(path, named)
    if goal.exists() and not goal.is_file():
        if resume:
            raise UsageError(f"{named}: --resume goes on from the journal beside a file, and this is none")
        yield None
        return
    from vlbench.record.journal import is_journal  # which loads more than `vlbench --help` wants

    journal = claim(journal_of(goal), f"the journal of {option}")
    with _locked(goal, named):
        if resume:
            _check_journal(journal)
        if journal.exists() and not resume:
            if not is_journal(journal):
                raise UsageError(f"{named}: {journal} is in the way, and is no journal of vlbench; choose another name")
            if not force:
                raise UsageError(
                    f"{named}: {journal.name} holds an interrupted run; --resume goes on with it, --force starts anew"
                )
        yield journal


def journal_of(path: Path) -> Path:
    """Where the journal of an output lies."""
    return path.with_suffix(JOURNAL)


def free_output(stem: str, suffix: str = ".json", *, resume: bool = False) -> Path:
    """The first of STEM, STEM-2, STEM-3 ... that is not there; with `resume` the last that has a journal."""
    going_on = first = Path(f"{stem}{suffix}")
    for number in count(2):
        begun = bool(suffix) and journal_of(first).exists()
        if not begun and not first.exists():
            break
        going_on = first if begun else going_on
        first = Path(f"{stem}-{number}{suffix}")
    return going_on if resume else first


@contextmanager
def _locked(goal: Path, named: str) -> Iterator[None]:
    """Hold a lock file beside the goal, which the system lets go of however this process ends."""
    path = goal.with_name(f".{goal.name}.lock")
    while True:
        held = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        if not lock(held, wait=False):
            os.close(held)
            raise UsageError(f"{named}: another run is writing it; wait for its end or choose another name")
        if os.fstat(held).st_nlink:
            break
        os.close(held)  # who had it removed it in between
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(held)
