"""The errors that are the user's to mend, and those of others in words."""

import errno
import re
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path


def check_choice(option: str, given: str, choices: Iterable[str]) -> None:
    """Raises UsageError for what is none of the choices."""
    known = list(choices)
    if given not in known:
        near = get_close_matches(given.lower(), known, n=1)
        remedy = f"did you mean {near[0]}?" if near else "choose one of them"
        raise UsageError(f"{option}: {given!r} is not one of {', '.join(known)}; {remedy}")


def check_folder_of(path: Path, named: str) -> None:
    """Raises UsageError, which begins with `named`, where the folder of a file to be written is not there."""
    if not path.parent.is_dir():
        raise UsageError(f"{named}: the folder {path.parent} does not exist; make it or choose another")


def resolved(path: Path, named: str) -> Path:
    """Where `path` leads. Raises UsageError, which begins with `named`, where its links lead in a circle."""
    try:
        return path.resolve()
    except (OSError, RuntimeError):
        raise UsageError(f"{named}: its links lead in a circle; choose another") from None


class UsageError(Exception):
    """Something the user gave is wrong.

    The message is one sentence that names the file or option, the field, and the remedy. The command line prints it
    without a traceback and exits with `exit_code`. What it quotes is cut where it is long.
    """

    exit_code = 2

    def __init__(self, message: str = "") -> None:
        super().__init__(_cut(_LONG_WORD.sub(lambda found: _cut(found[0], 300), message), 3000))


_LONG_WORD = re.compile(r"\S{301,}")


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most // 2]} ... {text[-most // 2 :]}"


def name_too_long(error: OSError) -> UsageError | None:
    """The sentence for a name that no file system takes, wherever a path was made of it; None for any other error."""
    if error.errno != errno.ENAMETOOLONG:
        return None
    return UsageError(f"{error.filename}: longer than a file's name may be; give another")


def not_written(named: object, error: OSError, then: str = "") -> UsageError:
    """The sentence for a file that cannot be written, with the remedy for that very error.

    `then` says what goes on once it can be written; without it another file may be chosen.
    """
    is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    mended = "free some space" if is_full else "make it writable" if then else ""
    remedy = ", or ".join(filter(None, (mended, "" if then else "choose another")))
    return UsageError(f"{named}: cannot be written ({error.strerror}); {remedy}{then}")


def nowhere_to_print(error: OSError) -> UsageError | None:
    """The sentence for a standard output that takes no more, as a full disk does; None for any other error."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO) or error.filename is not None:
        return None
    return UsageError(f"what is printed cannot be written ({error.strerror}); free some space, or print elsewhere")


class IncomparableError(UsageError):
    """What was to be compared is missing, was altered, or belongs to something else: nothing can be judged by it."""

    exit_code = 6


def in_one_line(error: BaseException, at: str = "") -> str:
    """Type and first line of what anyone's code raised, such as "ValueError: no such shape", and where, if told."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}{at}: {lines[0] if lines else 'no message'}"
