"""How far look-ups are off: every row is taken out and looked up. `python -m vlbench.kernel_times.hold_out h100`."""

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median, quantiles

from vlbench.kernel_times.look_up import Board, board, boards, central
from vlbench.kernel_times.stored import SIZES, HoldOut, Spread, StoredBoard, What
from vlbench.kernel_times.table import NotInTablesError, Reading, Table

WAYS: dict[What, tuple[tuple[str, ...], ...]] = {
    "product": (("m",), ("n", "k"), ("n", "k", "m")),
    "attention": (("length",), ("batch",), ("batch", "length")),
}
"""The sizes of which a row's own are taken out together, in the order of SIZES: a call may lie between all of them."""


@dataclass(frozen=True)
class Held:
    """One row that was held out."""

    measured: float
    found: list[Reading]
    sizes: tuple[int, int, int]


def with_errors(stored: StoredBoard) -> StoredBoard:
    """The board with its errors and spreads made anew."""
    bare = Board(stored.model_copy(update={"errors": (), "spreads": ()}))
    kinds = {(each.what, each.dtype, each.head_dim): None for each in stored.tables}
    errors = tuple(error for kind in kinds for way in WAYS[kind[0]] for error in _errors(bare, *kind, way))
    spreads = tuple(spread for kind in kinds for spread in _spreads(bare, *kind))
    return stored.model_copy(update={"errors": errors, "spreads": spreads}).with_checksum()


def _errors(bare: Board, what: What, dtype: str, head_dim: int, way: tuple[str, ...]) -> Iterator[HoldOut]:
    held = list(held_out(bare, what, dtype, head_dim, way))
    if len(held) < 10:
        return
    logs = [math.log(each.measured) - central(what, each.found) for each in held]
    off = [abs(math.expm1(-each)) for each in logs]
    tenths = quantiles(logs, n=10)
    error = HoldOut(
        what=what,
        dtype=dtype,
        head_dim=head_dim,
        hidden=way,
        rows=len(held),
        median=round(median(off), 4),
        p90=round(quantiles(off, n=10)[-1], 4),
        low=round(tenths[0], 4),
        high=round(tenths[-1], 4),
        within=0.0,
    )
    judge = Board(bare.stored.model_copy(update={"errors": (error,)}))
    bands = [(each.measured, judge.banded(what, dtype, head_dim, each.found)) for each in held]
    inside = sum(time.low <= measured <= time.high for measured, time in bands)
    yield error.model_copy(update={"within": round(inside / len(held), 4)})


def held_out(bare: Board, what: What, dtype: str, head_dim: int, way: tuple[str, ...]) -> Iterator[Held]:
    """Every row that has neighbours on both sides of the sizes that are taken out, looked up without them."""
    tables = bare.tables(what, dtype, head_dim)
    first = tables[0]
    inner = [_inner(first, name, place) if name in way else None for place, name in enumerate(SIZES[what])]
    for pair, row in first.rows.items():
        for step, us in zip(first.stored.steps, row, strict=True):
            sizes = (*pair, step)
            if us is None or any(
                kept is not None and size not in kept for size, kept in zip(sizes, inner, strict=True)
            ):
                continue
            others = [other for table in tables[1:] if (other := table.measured(pair, step)) is not None]
            measured = min([us, *others]) if what == "attention" else us
            try:
                found = bare.readings(what, dtype, head_dim, sizes, way)
            except NotInTablesError:  # a neighbour was not measured
                continue
            if found[0].beyond == 1:
                yield Held(measured, found, sizes)


def _inner(table: Table, name: str, place: int) -> set[int]:
    axis: Sequence[int] = (*table.axes, table.stored.steps)[place]
    return set(axis[1:-1])


def _spreads(bare: Board, what: What, dtype: str, head_dim: int) -> Iterator[Spread]:
    tables = bare.tables(what, dtype, head_dim)
    for first, second in pairwise(tables[:2]):
        both = [
            abs(math.expm1(math.log(other / us)))
            for pair, row in first.rows.items()
            for step, us in zip(first.stored.steps, row, strict=True)
            if us is not None and (other := second.measured(pair, step)) is not None
        ]
        if len(both) >= 10:
            yield Spread(
                what=what,
                dtype=dtype,
                head_dim=head_dim,
                engines=(first.stored.engine, second.stored.engine),
                rows=len(both),
                median=round(median(both), 4),
                p90=round(quantiles(both, n=10)[-1], 4),
            )


def hold_out_lines(stored: StoredBoard) -> Iterator[str]:
    """Errors and spreads of a board, as rows of a Markdown table."""
    for each in stored.errors:
        name = f"{each.what} {each.dtype}{f', head_dim {each.head_dim}' * (each.head_dim > 0)}"
        cells = (stored.board, name, ", ".join(each.hidden), f"{each.rows:,}")
        yield f"| {' | '.join(cells)} | {each.median:.1%} | {each.p90:.1%} | {each.within:.0%} |"


def main(names: Sequence[str]) -> int:
    """Make the errors of these boards anew and print them; 1 where a stored file says otherwise."""
    print("| board | of | taken out | rows | median | 90th percentile | in the band |\n|---|---|---|--:|--:|--:|--:|")
    differ = False
    for name in names or boards():
        stored = board(name).stored
        made = with_errors(stored)
        print("\n".join(hold_out_lines(made)), flush=True)
        differ |= (made.errors, made.spreads) != (stored.errors, stored.spreads)
    return int(differ)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
