"""Where in the code under test something happened: the innermost line outside torch and outside this package."""

from __future__ import annotations

import linecache
import os
import sys
from functools import cache
from itertools import islice
from types import CodeType, FrameType
from typing import NamedTuple

import torch

_TORCH = os.path.dirname(os.path.abspath(torch.__file__)) + os.sep
_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep


class Place(NamedTuple):
    """A place in the code under test."""

    line: str
    """`file:line: source text`, the file as seen from its import root."""
    expression: str
    """The part of the source that was being evaluated, such as `q[:, start:end]`; "" where Python does not know."""


_NOWHERE = Place("(no Python line)", "")


def cause(frame: FrameType | None = None) -> Place:
    """The innermost place that is the user's, from `frame` outwards; by default, from the caller."""
    frame = frame or sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith((_TORCH, _HERE, "<frozen")):
            # Code of two files may compare equal, so the file is part of the key.
            return _place(frame.f_code, file, frame.f_lineno, frame.f_lasti)
        frame = frame.f_back
    return _NOWHERE


def cause_line(frame: FrameType | None = None) -> str:
    """`file:line: source text` of that place."""
    return cause(frame or sys._getframe(1)).line


def asked_by_torch(depth: int) -> bool:
    """Whether the function `depth` frames up from here belongs to torch: its questions are not the user's."""
    return sys._getframe(depth + 1).f_code.co_filename.startswith((_TORCH, _HERE))


@cache
def _place(code: CodeType, file: str, number: int, instruction: int) -> Place:
    source = linecache.getline(file, number).strip()
    return Place(f"{_from_import_root(file)}:{number}: {source}", _expression(code, file, instruction))


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
def _from_import_root(file: str) -> str:
    """The path without its longest `sys.path` prefix, so that counts read the same on every machine."""
    path = os.path.abspath(file)
    roots = [os.path.abspath(root) + os.sep for root in sys.path if root]
    inside = [root for root in roots if path.startswith(root)]
    return path[len(max(inside, key=len)) :] if inside else path
