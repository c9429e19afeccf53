"""Read whatever an SQLite export has: absent tables are empty, absent columns take a default.

Columns come and go between releases, so every query names only columns that the table really has.
"""

import itertools
import operator
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from vlbench.errors import UsageError
from vlbench.untrusted import sqlite
from vlbench.untrusted.files import Kind
from vlbench.untrusted.limits import Limit

EXPORT = Kind(
    "export the report again",
    Limit.DATABASE,
    absent="{path}: no such file; {remedy}",
    unreadable="{path}: the SQLite file cannot be read ({why}); {remedy}",
)


_TIMES = ("start", "end")
LATEST = 1 << 62
"""Nanoseconds, 146 years: of larger ones no difference can be taken."""


class WrongTypeError(Exception):
    """A column holds something else than it is for."""


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """The export, read-only; text that is not UTF-8 (a Windows locale) gets replacement characters."""
    try:
        with sqlite.opened(path, EXPORT) as connection:
            yield connection
    except WrongTypeError as error:
        raise UsageError(f"{path}: {error}; {EXPORT.remedy}") from None


def names(connection: sqlite3.Connection) -> set[str]:
    """The tables that exist."""
    return {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def columns(connection: sqlite3.Connection, table: str) -> set[str]:
    """The columns of a table; none where the table is absent."""
    return {row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')}


def rows(connection: sqlite3.Connection, table: str) -> int:
    """How many rows a table has; none where it is absent."""
    there = table in names(connection)
    return int(connection.execute(f'SELECT TOTAL(1) FROM "{table}"').fetchone()[0]) if there else 0


def integers(
    connection: sqlite3.Connection, table: str, wanted: Mapping[str, int], where: str = ""
) -> dict[str, np.ndarray]:
    """The wanted integer columns as int64 arrays in row order; the value given stands for NULL and absent columns.

    A column that holds something other than integers ends in the UsageError of `opened`.
    """
    if not (present := [name for name in wanted if name in columns(connection, table)]):
        return {name: np.empty(0, dtype=np.int64) for name in wanted}
    chosen = ", ".join(f'COALESCE("{name}", {wanted[name]})' for name in present)
    cursor = connection.execute(f'SELECT {chosen} FROM "{table}" NOT INDEXED {where} ORDER BY rowid')
    try:
        flat = np.fromiter(map(operator.index, itertools.chain.from_iterable(cursor)), dtype=np.int64)
    except (TypeError, ValueError, OverflowError) as error:
        listed = ", ".join(present)
        raise WrongTypeError(f"table {table} holds a value that is not an integer in one of {listed}") from error
    rows = flat.size // len(present)
    read = dict(zip(present, np.ascontiguousarray(flat.reshape(rows, len(present)).T), strict=True))
    for times in (read[name] for name in _TIMES if name in read):
        if (times > LATEST).any() or (times < -LATEST).any():
            raise WrongTypeError(f"table {table} holds a time that no clock shows")
    return {name: np.full(rows, default, dtype=np.int64) for name, default in wanted.items()} | read


def pairs(connection: sqlite3.Connection, table: str, key: str, value: str) -> list[tuple[str, str]]:
    """Two text columns of a small table; empty where the table or a column is absent."""
    return [(text(name, table), text(item, table)) for name, item in _two(connection, table, key, value, "")]


def text(value: object, table: str) -> str:
    """What a column of text holds, as text; a number is written out. A blob ends in the UsageError of `opened`."""
    if isinstance(value, bytes):
        raise WrongTypeError(f"table {table} holds bytes where a text belongs")
    return str(value)


def numbered(connection: sqlite3.Connection, table: str, key: str, value: str) -> list[tuple[int, Any]]:
    """As `pairs` where the first column is an integer; rows in which it is not are passed over."""
    is_number = f"WHERE typeof(\"{key}\") = 'integer'"
    return [
        (number, item if isinstance(item, int) else text(item, table))
        for number, item in _two(connection, table, key, value, is_number)
    ]


def _two(connection: sqlite3.Connection, table: str, key: str, value: str, where: str) -> Iterable[tuple[Any, Any]]:
    if not {key, value} <= columns(connection, table):
        return []
    return connection.execute(f'SELECT "{key}", "{value}" FROM "{table}" {where}')
