"""Where in the code under test something happened: the innermost line outside torch, triton and this package."""

import linecache
import os
import sys
from functools import cache
from importlib.util import find_spec
from itertools import islice
from pathlib import PurePath
from types import CodeType, FrameType

import torch

from vlbench.record.site import Where


def _folder(file: str) -> str:
    return os.path.dirname(os.path.abspath(file)) + os.sep


_TRITON = find_spec("triton")
_NOT_THE_USERS = (
    "<frozen",
    _folder(__file__),
    _folder(torch.__file__),
    *([_folder(_TRITON.origin)] if _TRITON and _TRITON.origin else []),
)


_NOWHERE = Where("(no Python line)"), ""


def cause(frame: FrameType | None = None) -> tuple[Where, str]:
    """The innermost line that is the user's, from `frame` outwards, by default from the caller, and its expression.

    The expression is the part of the source that was being evaluated, such as `q[:, start:end]`; "" where Python does
    not know.
    """
    frame = frame or sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith(_NOT_THE_USERS):
            # Code of two files may compare equal, so the file is part of the key.
            name = spelled(file, str(frame.f_globals.get("__name__", "")))
            return _place(frame.f_code, file, name, frame.f_lineno, frame.f_lasti)
        frame = frame.f_back
    return _NOWHERE


def cause_line(frame: FrameType | None = None) -> Where:
    """That line alone."""
    return cause(frame or sys._getframe(1))[0]


def asked_by_torch(depth: int) -> bool:
    """Whether the function `depth` frames up from here is torch's or triton's: its questions are not the user's."""
    return sys._getframe(depth + 1).f_code.co_filename.startswith(_NOT_THE_USERS)


@cache
def _place(code: CodeType, file: str, name: str, number: int, instruction: int) -> tuple[Where, str]:
    source = linecache.getline(file, number).strip()
    return Where(source, name, number), _expression(code, file, instruction)


def _expression(code: CodeType, file: str, instruction: int) -> str:
    first, last, start, stop = next(islice(code.co_positions(), instruction // 2, None))
    if first is None or last is None or start is None or stop is None:
        return ""
    lines = [line.encode() for line in linecache.getlines(file)[first - 1 : last]]  # columns count bytes
    if not lines:
        return ""
    lines[-1] = lines[-1][:stop]
    lines[0] = lines[0][start:]
    return " ".join(b" ".join(lines).decode(errors="replace").split())


@cache
def spelled(file: str, module: str) -> str:
    """As much of the path as the module's name spells, so that counts read the same on every machine and from anywhere.

    `sys.path` is of no use here: it begins with the current directory, which may lie inside the package.
    """
    path = PurePath(file)
    names = module.split(".") if path.stem == "__init__" else module.split(".")[:-1]
    parts = [path.name]
    for folder, name in zip(reversed(path.parts[:-1]), reversed(names), strict=False):
        if folder != name:
            break
        parts.insert(0, folder)
    return "/".join(parts)
