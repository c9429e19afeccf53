"""The tables of docs/kernel-times.md, from the boards' files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from results.predict_again import MEASURED
from results.take_kernel_times import MOVED, Moved
from vlbench.implementations.config import MODELS
from vlbench.kernel_times import Board, Time, board, boards, floor, tower_work
from vlbench.kernel_times.stored import HoldOut, Spread, StoredBoard, What
from vlbench.record.base import fitting
from vlbench.untrusted.files import Kind, read_json

STORED = Kind("write it anew with `python -m results.take_kernel_times captured`", ours=True)


class Column(NamedTuple):
    """Errors that stand below one head."""

    head: str
    what: What
    dtype: str
    hidden: tuple[str, ...]


COLUMNS = (
    Column("products: m", "product", "bfloat16", ("m",)),
    Column("n, k", "product", "bfloat16", ("n", "k")),
    Column("n, k, m", "product", "bfloat16", ("n", "k", "m")),
    Column("fp8: m", "product", "float8_e4m3fn", ("m",)),
    Column("attention: length", "attention", "bfloat16", ("length",)),
    Column("batch", "attention", "bfloat16", ("batch",)),
    Column("batch, length", "attention", "bfloat16", ("batch", "length")),
)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    heads = list(head)
    lines = [heads, ["---", *["--:"] * (len(heads) - 1)], *map(list, rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _stored() -> list[StoredBoard]:
    return [board(name).stored for name in boards()]


def board_table() -> str:
    """Which boards there are, and how many times were measured on each."""

    def row(each: StoredBoard) -> list[str]:
        times = {
            what: sum(us is not None for one in each.tables if one.what == what for row in one.us for us in row)
            for what in WHATS
        }
        return [
            f"`{each.board}`",
            each.gpu,
            f"{each.memory.bytes_per_s / 1e12:.2f} TB/s",
            *(f"{times[what]:,}" for what in WHATS),
        ]

    return _table(("board", "GPU", "memory", "products", "attention calls"), map(row, _stored()))


WHATS: tuple[What, ...] = ("product", "attention")


def hold_out_table() -> str:
    """Median and 90th percentile of the errors of each board; of several head_dims the largest of each."""

    def cell(found: list[HoldOut]) -> str:
        return f"{max(each.median for each in found):.1%} / {max(each.p90 for each in found):.1%}" if found else "-"

    def row(each: StoredBoard) -> list[str]:
        cells = [
            cell([one for one in each.errors if (one.what, one.dtype, one.hidden) == column[1:]]) for column in COLUMNS
        ]
        return [f"`{each.board}`", *cells]

    measured = board(MEASURED).stored
    return _table(("taken out of", *(column.head for column in COLUMNS)), map(row, [*_stored(), measured]))


def spread_table() -> str:
    """What two engines differ by on each board."""

    def cell(found: list[Spread]) -> str:
        return f"{max(each.median for each in found):.1%} / {max(each.p90 for each in found):.1%}" if found else "-"

    def row(each: StoredBoard) -> list[str]:
        kinds = (("product", "bfloat16"), ("attention", "bfloat16"))
        return [
            f"`{each.board}`",
            *(cell([one for one in each.spreads if (one.what, one.dtype) == kind]) for kind in kinds),
        ]

    return _table(("board", "products", "attention"), map(row, _stored()))


EVERY = 64
"""Of the measured rows, the one that is looked up."""
LEEWAY = 1 - 1e-9
"""A band that is widened to a row ends at it, but for the last digits."""


def looked_up_table() -> str:
    """How often the answer for a measured row is off by more than 1 %, and how often that lies in its band."""

    def cell(name: str, what: What) -> Iterator[str]:
        pairs = list(_answers(board(name), what))
        yield f"{sum(abs(time.us / us - 1) > 0.01 for time, us in pairs) / len(pairs):.0%}"
        yield f"{sum(time.low * LEEWAY <= us <= time.high / LEEWAY for time, us in pairs) / len(pairs):.0%}"

    rows = ((f"`{name}`", *(each for what in WHATS for each in cell(name, what))) for name in boards())
    head = ("rows of", "products off by more than 1 %", "in the band", "attention off by more than 1 %", "in the band")
    return _table(head, rows)


def _answers(found: Board, what: What) -> Iterator[tuple[Time, float]]:
    """What is answered for rows in bf16, and what was measured: of attention by the faster engine."""
    dtype = "bfloat16"
    kinds = [each.head_dim for each in found.stored.tables if (each.what, each.dtype) == (what, dtype)]
    for head_dim in dict.fromkeys(kinds):
        tables = found.tables(what, dtype, head_dim)
        rows = [
            (pair, step, us)
            for pair, times in tables[0].rows.items()
            for step, us in zip(tables[0].stored.steps, times, strict=True)
            if us is not None
        ]
        for (first, second), step, us in rows[::EVERY]:
            if what == "product":
                yield found.product(step, first, second, dtype), us
            else:
                others = [other for table in tables[1:] if (other := table.measured((first, second), step)) is not None]
                yield found.attention(second, first, step, head_dim, dtype), min([us, *others])


def moved_table() -> str | None:
    """The model of moved bytes against captures; None without a stored file."""
    if not MOVED.is_file():
        return None
    found = fitting(Moved, read_json(MOVED, STORED), MOVED, STORED.remedy).captures
    rows = (
        (each.gpu, f"{each.kernels:,}", f"{each.shapes}", f"{each.median:.0%}", f"{each.p90:.0%}", f"{each.within:.0%}")
        for each in found.values()
    )
    head = ("GPU of the capture", "kernels", "shapes", "median error", "90th percentile", "in the band")
    return _table(head, rows)


def floor_of_boards() -> str:
    """The floor of one picture at 7B on each board."""
    work = tower_work(MODELS["qwen2.5-vl-7b"], [(1, 36, 36)])
    times = {name: floor(board(name), work, "bfloat16") for name in boards()}
    rows = (
        (f"`{name}`", f"{t.us / 1e3:.1f} ms", f"{t.low / 1e3:.1f} to {t.high / 1e3:.1f} ms")
        for name, t in times.items()
    )
    return _table(("board", "floor", "band"), rows)
