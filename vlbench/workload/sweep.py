"""Sweeps: a list in place of a scalar is one point per value; several lists are their cartesian product."""

import copy
from collections.abc import Iterator
from itertools import product
from math import prod
from typing import Any

from vlbench.errors import UsageError
from vlbench.untrusted.limits import Limit

Table = dict[str, Any]
Path = tuple[str | int, ...]

PROSE = {"title", "stands_for", "why"}
"""Fields that are for reading; sweeping them would only repeat the same run."""


def dotted(path: Path) -> str:
    """item[1].count, for ("item", 1, "count")."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def unroll(table: Table) -> list[tuple[str, Table]]:
    """The points of `table` as (label, table without lists of scalars), the last list varying fastest.

    A label names the swept fields and their values, such as "count=4" or "count=4,limit=1M", and is empty
    when nothing is swept. A field's whole path is spelt out where two swept fields share a name. Raises
    `UsageError` for an empty list and for a value given twice.
    """
    axes = list(_axes(table, ()))
    count = prod(len(values) for _, values in axes)
    Limit.POINTS.check(count, "the product of all lists", "sweep fewer values")
    items = table.get("item")
    Limit.ITEMS.check(count * len(items) if isinstance(items, list) else 0, "the sum over the sweep", "sweep fewer")
    names = [str(path[-1]) for path, _ in axes]
    shown = [name if names.count(name) == 1 else dotted(path) for name, (path, _) in zip(names, axes, strict=True)]
    points = []
    for values in product(*(values for _, values in axes)):
        point = copy.deepcopy(table)
        for (path, _), value in zip(axes, values, strict=True):
            _put(point, path, value)
        label = ",".join(f"{name}={value}" for name, value in zip(shown, values, strict=True))
        points.append((label, point))
    return points


def _axes(node: Any, path: Path) -> Iterator[tuple[Path, list[Any]]]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key not in PROSE:
                yield from _axes(value, (*path, key))
    elif isinstance(node, list) and node and all(isinstance(entry, dict) for entry in node):
        for index, entry in enumerate(node):
            yield from _axes(entry, (*path, index))
    elif isinstance(node, list):
        if not node:
            raise UsageError(f"{dotted(path)} is an empty list; give at least one value")
        Limit.POINTS.check(len(node), dotted(path), "sweep fewer values")
        if any(value in node[:index] for index, value in enumerate(node)):
            raise UsageError(f"{dotted(path)} lists a value twice; remove one of the two")
        yield path, node


def _put(node: Any, path: Path, value: Any) -> None:
    for part in path[:-1]:
        node = node[part]
    node[path[-1]] = value
