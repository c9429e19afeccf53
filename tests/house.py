"""How large the house is: `python -m tests.house`."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROOMS = ("vlbench", "implementations")
SAYS_NOTHING = {
    *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE),
    *(tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER),
}
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Definition:
    """A class, a function or a method; what is defined in a function is part of it."""

    name: str
    """With the names of the classes around it."""
    lines: int
    is_function: bool
    is_public: bool
    has_docstring: bool


@dataclass(frozen=True)
class File:
    """One Python file."""

    name: str
    """As seen from the top of the repository."""
    lines: int
    """All of them."""
    code_lines: int
    """Without blank lines, comments and docstrings."""
    definitions: tuple[Definition, ...]


def read(source: str, name: str) -> File:
    """What there is to count in a file."""
    tree = ast.parse(source)
    return File(name, len(source.splitlines()), _code_lines(source, tree), tuple(_definitions(tree)))


@cache
def house(root: Path = ROOT) -> tuple[File, ...]:
    """Every Python file of the package and of what it measures; links to folders are not followed."""
    paths = sorted(path for room in ROOMS for path in (root / room).rglob("*.py"))
    return tuple(read(path.read_text(encoding="utf-8"), str(path.relative_to(root))) for path in paths)


def longest_function(files: Sequence[File]) -> tuple[int, str]:
    """Its lines, from `def` to its end, and where it is."""
    return max((each.lines, f"{file.name}: {each.name}") for file, each in _all(files) if each.is_function)


def undocumented(files: Sequence[File]) -> list[str]:
    """Public classes, functions and methods without a docstring."""
    return [f"{file.name}: {each.name}" for file, each in _all(files) if each.is_public and not each.has_docstring]


def _all(files: Sequence[File]) -> Iterator[tuple[File, Definition]]:
    return ((file, each) for file in files for each in file.definitions)


def _code_lines(source: str, tree: ast.Module) -> int:
    code: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in SAYS_NOTHING:
            code.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            code.difference_update(range(node.lineno, (node.end_lineno or 0) + 1))  # of a definition, or below a field
    return len(code)


def _definitions(node: ast.Module | ast.ClassDef, owner: str = "", is_public: bool = True) -> Iterator[Definition]:
    for each in node.body:
        if isinstance(each, ast.ClassDef | Function):
            name, public = owner + each.name, is_public and not each.name.startswith("_")
            lines = (each.end_lineno or 0) - each.lineno + 1
            yield Definition(name, lines, not isinstance(each, ast.ClassDef), public, bool(ast.get_docstring(each)))
            if isinstance(each, ast.ClassDef):
                yield from _definitions(each, f"{name}.", public)


def main() -> None:
    """Print the table."""
    files = house()
    longest, (lines, function) = max(files, key=lambda file: file.lines), longest_function(files)
    public = sum(each.is_public for _, each in _all(files))
    table = {
        "files": f"{len(files)}",
        "code lines": f"{sum(file.code_lines for file in files)}",
        "longest file": f"{longest.lines} lines, {longest.name}",
        "longest function": f"{lines} lines, {function}",
        "without docstring": f"{len(undocumented(files))} of {public} public definitions",
    }
    print("\n".join(f"{name:<18} {value}" for name, value in table.items()))


if __name__ == "__main__":
    main()
