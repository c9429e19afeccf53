"""Where in the code under test something happened: the innermost line outside torch and outside this package."""

from __future__ import annotations

import linecache
import os
import sys
from functools import cache
from types import FrameType

import torch

_TORCH = os.path.dirname(os.path.abspath(torch.__file__)) + os.sep
_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep


def cause_line() -> str:
    """`file:line: source text` of the innermost frame that is the user's, the file as seen from its import root."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith((_TORCH, _HERE, "<frozen")):
            source = linecache.getline(file, frame.f_lineno).strip()
            return f"{_from_import_root(file)}:{frame.f_lineno}: {source}"
        frame = frame.f_back
    return "(no Python line)"


def asked_by_torch(depth: int) -> bool:
    """Whether the function `depth` frames up from here belongs to torch: its questions are not the user's."""
    return sys._getframe(depth + 1).f_code.co_filename.startswith((_TORCH, _HERE))


@cache
def _from_import_root(file: str) -> str:
    """The path without its longest `sys.path` prefix, so that counts read the same on every machine."""
    path = os.path.abspath(file)
    roots = [os.path.abspath(root) + os.sep for root in sys.path if root]
    inside = [root for root in roots if path.startswith(root)]
    return path[len(max(inside, key=len)) :] if inside else path
