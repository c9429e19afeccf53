"""The errors that are the user's to mend, and those of others in words."""

from collections.abc import Iterable
from pathlib import Path


def check_choice(option: str, given: str, choices: Iterable[str]) -> None:
    """Raises UsageError for what is none of the choices."""
    known = list(choices)
    if given not in known:
        raise UsageError(f"{option}: {given!r} is not one of {', '.join(known)}; choose one of them")


def check_folder_of(path: Path, named: str) -> None:
    """Raises UsageError, which begins with `named`, where the folder of a file to be written is not there."""
    if not path.parent.is_dir():
        raise UsageError(f"{named}: the folder {path.parent} does not exist; make it or choose another")


class UsageError(Exception):
    """Something the user gave is wrong.

    The message is one sentence that names the file or option, the field, and the remedy. The command line prints it
    without a traceback and exits with `exit_code`.
    """

    exit_code = 2


class IncomparableError(UsageError):
    """What was to be compared is missing, was altered, or belongs to something else: nothing can be judged by it."""

    exit_code = 6


def in_one_line(error: BaseException, at: str = "") -> str:
    """Type and first line of what anyone's code raised, such as "ValueError: no such shape", and where, if told."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}{at}: {lines[0] if lines else 'no message'}"
