"""A board, asked for the time of a product, of an attention call, of bytes that are moved."""

import math
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from vlbench.errors import check_choice
from vlbench.kernel_times.stored import HoldOut, Memory, StoredBoard, What, read_board
from vlbench.kernel_times.table import ELSE_BEYOND, NotInTablesError, Reading, Table
from vlbench.kernel_times.time import Time
from vlbench.record.grouping import gathered
from vlbench.record.sequence import itemsize

FOLDER = Path(__file__).parent / "boards"
NOISE = 0.02
"""Relative: what the same kernel differs by from run to run, where a row is there as it is asked for."""
WIDER = 0.14
"""Exponent of the work beyond the last row by which a band grows: by a tenth for each doubling."""
OUTSIDE = "is not in the tables"
"""What the message says of sizes, and of nothing else."""
LEAST_US = 2.5
"""The shortest that an attention kernel can be, where all that was measured is how long it takes to start one."""
ROW_BYTES = 16
"""Tables hold products whose rows are multiples of this many bytes, and no other: cuBLAS reads so much at a time."""
UNALIGNED, UNALIGNED_BAND = 3.7, (2.6, 4.4)
"""How many times as long a product takes with other rows, which other kernels read by 4 bytes: 3,420 columns against
3,424 on an H200, at 1,296 and 13,808 rows, as n and as k (2.7 to 4.3; `gate-and-up` of results/gpu/probe.json)."""
OF_THAT_KIND = ("H100", "H200")
"""GPUs on which that is taken for true."""
MOST_KEPT = 65_536
"""Answers that a board remembers."""


def boards(folder: Path | None = None) -> tuple[str, ...]:
    """The names of the boards that there are, or that lie in `folder`."""
    return tuple(sorted(path.name.partition(".")[0] for path in (folder or FOLDER).glob("*.json*")))


def board(name: str | Path, folder: Path | None = None) -> "Board":
    """The board of this name, or in this file. Raises UsageError where there is none, or the file is none."""
    path = Path(name)
    if path.suffix in (".json", ".gz"):
        return Board(read_board(path))
    check_choice("board", str(name), boards(folder))
    return Board(read_board(next((folder or FOLDER).glob(f"{name}.json*"))))


class Board:
    """Measured times of one board. What they do not hold raises NotInTablesError, and nothing is guessed."""

    def __init__(self, stored: StoredBoard) -> None:
        """Tables are read; their curves are made when they are first asked for."""
        self.stored = stored
        self.name = stored.board
        self._kept: dict[tuple[object, ...], Time] = {}

    @cached_property
    def _tables(self) -> dict[tuple[What, str, int], list[Table]]:
        stored = self.stored
        return gathered(((each.what, each.dtype, each.head_dim), Table(each, stored.sms)) for each in stored.tables)

    @cached_property
    def _errors(self) -> dict[tuple[What, str, int, tuple[str, ...]], HoldOut]:
        return {(each.what, each.dtype, each.head_dim, each.hidden): each for each in self.stored.errors}

    def tables(self, what: What, dtype: str, head_dim: int) -> list[Table]:
        """Of one kind, the leading engine's first; none where nothing was measured."""
        return self._tables.get((what, dtype, head_dim), [])

    def product(self, m: int, n: int, k: int, dtype: str, *, padded: bool = False) -> Time:
        """[m, k] x [k, n] in `dtype`, such as "bfloat16". Raises NotInTablesError.

        What rows of no multiple of 16 bytes cost is in it, unless they are `padded`: see `unaligned`.
        """
        time = self._remembered("product", dtype, 0, (n, k, m))
        if padded or not (note := self.unaligned(n, k, dtype)):
            return time
        middle, (low, high) = UNALIGNED, UNALIGNED_BAND
        if not self._is_of_that_kind:
            middle, low = 1.0, 1.0
        return replace(
            time, us=middle * time.us, low=low * time.low, high=high * time.high, source=f"{time.source}, {note}"
        )

    def unaligned(self, n: int, k: int, dtype: str) -> str:
        """What is taken for products with rows of no multiple of 16 bytes, in words; "" for others, and on no GPU."""
        size = itemsize(dtype)
        if not (n * size % ROW_BYTES or k * size % ROW_BYTES) or "NVIDIA" not in self.stored.gpu:
            return ""
        low, high = UNALIGNED_BAND
        if self._is_of_that_kind:
            return f"unaligned: x{UNALIGNED:g} ({low:g} to {high:g}), as measured on one H200"
        return f"unaligned: up to x{high:g}, as measured on one H200 and not on this GPU"

    @property
    def _is_of_that_kind(self) -> bool:
        return any(name in self.stored.gpu for name in OF_THAT_KIND)

    def attention(self, batch: int, heads: int, length: int, head_dim: int, dtype: str) -> Time:
        """One call over `batch` sequences of one length, none of them causal. Raises NotInTablesError.

        The kernel is a serving engine's, and torch may run another. A call that took little more than one of one token
        was the time to start it: its band goes down to what is left without that.
        """
        return self._remembered("attention", dtype, head_dim, (heads, batch, length))

    def moved(self, read_and_written: int) -> Time:
        """An operation that reads and writes so many bytes of memory and computes next to nothing."""
        return moved(self.stored.memory, read_and_written)

    def copied(self, size: int) -> Time:
        """So many bytes between pinned host memory and the board."""
        memory = self.stored.memory
        wire = size / memory.pcie_bytes_per_s * 1e6
        source = f"bytes / ({memory.pcie_bytes_per_s / 1e9:.0f} GB/s x {memory.factor:g}) + {memory.constant_us:g} us"
        return Time(memory.constant_us + wire / memory.factor, wire, 2 * (memory.constant_us + wire), (), source)

    def readings(
        self, what: What, dtype: str, head_dim: int, sizes: tuple[int, int, int], hidden: Collection[str] = ()
    ) -> list[Reading]:
        """What each engine's table says, the leading engine's first. Raises NotInTablesError where that has nothing."""
        tables = self.tables(what, dtype, head_dim)
        found = []
        for table in tables:
            try:
                found.append(table.at(*sizes, hidden))
            except LookupError:
                if table is tables[0]:
                    break
        if not found:
            raise NotInTablesError(self._not_there(what, dtype, head_dim, sizes, tables))
        return found

    def _remembered(self, what: What, dtype: str, head_dim: int, sizes: tuple[int, int, int]) -> Time:
        key = (what, dtype, head_dim, sizes)
        if key not in self._kept:
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            time = self.banded(what, dtype, head_dim, self.readings(what, dtype, head_dim, sizes))
            if what == "attention":
                once = self.readings(what, dtype, head_dim, (sizes[0], 1, 1))
                time = without_start(time, math.exp(central(what, once)))
            self._kept[key] = time
        return self._kept[key]

    def banded(self, what: What, dtype: str, head_dim: int, found: Sequence[Reading]) -> Time:
        """What the engines' readings say together."""
        first = found[0]
        held_out = self._errors.get((what, dtype, head_dim, first.between))
        low, high = (held_out.low, held_out.high) if held_out else (-NOISE, NOISE)
        residual = max(each.residual for each in found)
        wider = WIDER * math.log(first.beyond)
        low, high = min(low, -NOISE, -residual) - wider, max(high, NOISE, residual) + wider
        logs = [each.log_us for each in found]
        source = f"{self.stored.source.package} {self.stored.source.version}, {self.name}"
        if first.beyond > 1:
            source += f", {first.beyond:.1f} times the work of its last row"
        rows = tuple(row for each in found for row in each.rows)
        bounds = math.exp(min(logs) + low), math.exp(max(logs) + high)
        return Time(math.exp(central(what, found)), *bounds, rows, source, first.beyond)

    def _not_there(
        self, what: What, dtype: str, head_dim: int, sizes: tuple[int, int, int], tables: Sequence[Table]
    ) -> str:
        if not tables:
            there = sorted(
                {f"{each[1]}{f' at head_dim {each[2]}' * (each[2] > 0)}" for each in self._tables if each[0] == what}
            )
            asked = f"{dtype}{f' at head_dim {head_dim}' * (head_dim > 0)}"
            return f"{self.name}: no {what} in {asked} is in the tables; it has {', '.join(there) or 'none at all'}"
        names, axes = tables[0].names, (*tables[0].axes, tables[0].stored.steps)
        asked = " ".join(f"{name}={size}" for name, size in zip(names, sizes, strict=True))
        there = [f"{name} from {axis[0]} to {axis[-1]}" for name, axis in zip(names, axes, strict=True)]
        return (
            f"{self.name}: the {what} {asked} in {dtype} {OUTSIDE}; "
            f"ask for {', '.join(there)}, or up to {ELSE_BEYOND:g} times the work of the last row"
        )


TINY_US, LEAST_TINY_US = 1.5, 1.0
"""What an operation takes on the GPU that moves next to nothing, as captured on an RTX 5000 Ada, and the shortest."""
SHARE_OF_L2 = 0.5
"""Of L2 that one operation's tensors can count on."""
L2_GAIN = 2.5
"""How many times faster tensors move that are still in L2, captured there as well."""
MOVED_BAND = 1.25
"""What rates differ by between kernels that move the same bytes."""


def central(what: What, found: Sequence[Reading]) -> float:
    """The logarithm that stands for these: the leading engine's for products, the smallest for attention.

    Rows of one engine at some lengths stand alone, above the other's that runs the same kernel.
    """
    return min(each.log_us for each in found) if what == "attention" else found[0].log_us


def without_start(time: Time, once: float) -> Time:
    """The time of an attention call where `once` is what a single one of length 1 takes: all of that is its start.

    What takes twice as long hid the start behind the kernel before it; between, as much of it is taken off.
    """
    share = min(1.0, max(0.0, 2 - time.us / once))
    if not share or once <= LEAST_US:
        return time
    least = max(LEAST_US, time.us - share * (once - LEAST_US))
    told = f"{time.source}; a call of one token took {once:.1f} us there, which is the time to start one"
    low = min(time.low, least)
    return replace(time, us=(time.us + least) / 2, low=low, source=told)


def moved(memory: Memory, read_and_written: int) -> Time:
    """What an operation takes that reads and writes so many bytes of memory and computes next to nothing."""
    in_cache = read_and_written <= memory.l2_bytes * SHARE_OF_L2
    usual = read_and_written / (memory.bytes_per_s * memory.factor) * 1e6
    fast = usual / L2_GAIN if in_cache else usual
    where = f"tensors of this size stay in L2, {L2_GAIN:g} times as fast" if in_cache else "from memory"
    source = f"bytes / ({memory.bytes_per_s / 1e12:.2f} TB/s x {memory.factor:g}) + {TINY_US:g} us, {where}"
    low, high = LEAST_TINY_US + fast / MOVED_BAND, max(TINY_US, memory.constant_us) + usual * MOVED_BAND
    return Time(TINY_US + fast, low, high, (), source)
