"""The past of a file that is kept with git: what it held at each revision that changed it."""

from collections.abc import Callable, Iterator
from pathlib import Path

from vlbench.comparing.contents import OURS
from vlbench.comparing.history import History, Version, history_of, version_of
from vlbench.errors import IncomparableError, UsageError
from vlbench.process.git import git, one_line, text_at
from vlbench.process.scratch import Scratch
from vlbench.revisions.checkouts import commits_between, repository
from vlbench.untrusted.files import size_of

FORMAT = "--format=%H %cs %s"


def past_of(path: Path, between: str | None, steps: Callable[[int, int], None] = lambda done, of: None) -> History:
    """The file at each revision that changed it, along first parents, and as it is now; or `between` FIRST..LAST.

    A version that cannot be read is named in the notes. Raises UsageError outside of a repository, for no file and for
    what is no range, IncomparableError where no version can be read.
    """
    try:
        repository()
    except UsageError as error:
        if "not a git repository" not in str(error):
            raise
        size_of(path, OURS)
        raise UsageError(
            f"{path}: not a git repository here, and one file has no past outside of git; give two files or more, or "
            "run it in a repository"
        ) from None
    found, notes = list[Version](), list[str]()
    texts = list(_texts(path, between))
    with Scratch() as scratch:
        for number, (name, date, words, text) in enumerate(texts, 1):
            draft = Path(scratch) / path.name
            draft.write_text(text, errors="surrogateescape")
            try:
                found.append(version_of(draft, name, date, words))
            except UsageError as error:
                told = str(error).replace(str(draft), path.name)
                notes.append(f"{name} is left out: {told}")
            steps(number, len(texts))
    if not found:
        if not notes:
            size_of(path, OURS)
        why = notes[-1] if notes else "git has no version of it; commit it, or name several files"
        raise IncomparableError(f"{path}: no version can be read: {why}")
    history = history_of(str(path), found)
    return History(history.source, history.versions, history.series, (*notes, *history.notes))


def _texts(path: Path, between: str | None) -> Iterator[tuple[str, str, str, str]]:
    """Name, date and subject of each version, and the file as it was."""
    last, listed = None, ""
    if between:
        ends = commits_between(between, "--git")
        listed = git("log", "-z", "-1", FORMAT, ends[0].name) or ""
    span = [f"{ends[0].name}..{ends[-1].name}"] if between else []
    listed += git("log", "-z", "--reverse", "--first-parent", FORMAT, *span, "--", str(path)) or ""
    for entry in filter(None, listed.split("\0")):
        commit, date, words = entry.split(" ", 2)
        text = text_at(commit, path)
        if text is not None and text != last:
            yield commit[:9], date, one_line(words), text
            last = text
    if between is None and path.is_file() and (now := path.read_text(errors="surrogateescape").rstrip("\n")) != last:
        yield "now", "", "not committed", now
