"""Where in the code under test something happened: the innermost line outside torch, triton and this package."""

import ast
import linecache
import os
import sys
import tokenize
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from itertools import islice
from pathlib import PurePath
from types import CodeType, FrameType
from typing import NamedTuple

import torch

from vlbench.counting_device.allowed import allowed_by_comment, allowed_here
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
_COMPREHENSIONS = ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>")
MOST_CALLERS = 3
"""Lines outside of a helper that are kept with a wait in it."""


class Cause(NamedTuple):
    """A line that is the user's."""

    where: Where
    expression: str = ""
    """The part of the source that was being evaluated, such as `q[:, start:end]`; "" where Python does not know."""
    comment: str = ""
    """The reason by which a comment on the line allows a wait."""
    callers: tuple[Where, ...] = ()
    """The lines that called the function, from the inside outwards as far as the first module's `forward`."""

    @property
    def allowed(self) -> str:
        """Why a wait is meant here; "" where nobody says so."""
        return allowed_here() or self.comment


_NOWHERE = Cause(Where("(no Python line)"))


def cause(counts: CodeType | None = None) -> Cause:
    """The innermost line that is the user's, from the caller outwards, and who called its function inside `counts`."""
    lines = _users(sys._getframe(1))
    first = inner = next(lines, None)
    if first is None or inner is None:
        return _NOWHERE
    callers: list[Where] = []
    while inner.f_code.co_name != "forward" and len(callers) < MOST_CALLERS:
        outer = next(lines, None)
        if outer is None or outer.f_code is counts:
            break
        if inner.f_code.co_name not in _COMPREHENSIONS:
            callers.append(_line(outer).where)
        inner = outer
    return _line(first)._replace(callers=tuple(callers))


def cause_line(frame: FrameType | None = None) -> Where:
    """That line alone, from `frame` outwards, by default from the caller."""
    found = next(_users(frame or sys._getframe(1)), None)
    return _NOWHERE.where if found is None else _line(found).where


def _users(frame: FrameType | None) -> Iterator[FrameType]:
    """The frames of the user's code, from `frame` outwards."""
    while frame is not None:
        if not frame.f_code.co_filename.startswith(_NOT_THE_USERS):
            yield frame
        frame = frame.f_back


def asked_by_torch(depth: int) -> bool:
    """Whether the function `depth` frames up from here is torch's or triton's: its questions are not the user's."""
    return sys._getframe(depth + 1).f_code.co_filename.startswith(_NOT_THE_USERS)


def _line(frame: FrameType) -> Cause:
    file = frame.f_code.co_filename
    name = spelled(file, str(frame.f_globals.get("__name__", "")))
    # Code of two files may compare equal, so the file is part of the key.
    return _place(frame.f_code, file, name, frame.f_lineno, frame.f_lasti)


@cache
def _place(code: CodeType, file: str, name: str, number: int, instruction: int) -> Cause:
    line = linecache.getline(file, number).strip()
    where = Where(line, name, number)
    comment = _comments(file).get(number, "")
    return Cause(where, _expression(code, file, instruction), allowed_by_comment(comment, where.place))


@cache
def _comments(file: str) -> dict[int, str]:
    """The comment of each line that has one. What looks like a comment within a string is none."""
    found: dict[int, str] = {}
    try:
        for each in tokenize.generate_tokens(iter(linecache.getlines(file)).__next__):
            if each.type == tokenize.COMMENT:
                found[each.start[0]] = each.string
    except (tokenize.TokenError, SyntaxError):  # no Python from here on
        pass
    return found


def _expression(code: CodeType, file: str, instruction: int) -> str:
    first, last, start, stop = next(islice(code.co_positions(), instruction // 2, None))
    if first is None or last is None or start is None or stop is None:
        return ""
    first, last, start, stop = _conditions(file).get((first, last, start, stop), (first, last, start, stop))
    lines = [line.encode() for line in linecache.getlines(file)[first - 1 : last]]  # columns count bytes
    if not lines:
        return ""
    lines[-1] = lines[-1][:stop]
    lines[0] = lines[0][start:]
    return " ".join(b" ".join(lines).decode(errors="replace").split())


_Span = tuple[int, int, int, int]


@cache
def _conditions(file: str) -> dict[_Span, _Span]:
    """Where the condition of each `if`, `while` and `assert` is, by where the statement is: Python 3.11 jumps there."""
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError):  # no Python that this one reads; what is shown is then the statement
        return {}
    statements = [node for node in ast.walk(tree) if isinstance(node, ast.If | ast.While | ast.Assert | ast.IfExp)]
    return {_span(node): _span(node.test) for node in statements}


def _span(node: ast.stmt | ast.expr) -> _Span:
    return node.lineno, node.end_lineno or node.lineno, node.col_offset, node.end_col_offset or 0


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
