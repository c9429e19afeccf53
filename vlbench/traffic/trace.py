"""Reads recorded calls back, one by one, so that a file of millions takes no memory. Wrong files end in a sentence."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from vlbench.errors import UsageError
from vlbench.traffic.recorder import DTYPE, LONGEST_SIDE, VERSION, is_grid
from vlbench.untrusted.files import Kind, parse_json, size_of
from vlbench.untrusted.limits import Limit

Grid = tuple[int, int, int]
TRACE = Kind("record one with `vlbench.recording`, or `vlbench record`", Limit.TRACE)
CHANGED = "record it again, or take it out"
LINE = Kind(CHANGED, binary="{path}: not JSON in UTF-8; {remedy}", broken="{path}: not JSON; {remedy}", ours=True)
PACKED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zXZ": "xz", b"BZh": "bzip2", b"PK\x03\x04": "zip"}
SUFFIXES = (".jsonl", ".gz", ".zst", ".xz", ".bz2", ".zip")
"""Of traces, and of those that have to be unpacked before."""
FIELDS = ("t", "grids", "dtype", "queue")
MOST = 10**9
"""Of a count, and of seconds."""
DISORDER = 1.0
"""Seconds by which a call may have begun before one that is written before it: threads note calls at once."""


class Call(NamedTuple):
    """One call of a vision tower."""

    seconds: float
    """Since the recording began."""
    grids: tuple[Grid, ...]
    dtype: str | None
    queue: int | None
    """Requests that waited; None where it was not told."""


@dataclass
class Trace:
    """The calls in a file, in order. Raises UsageError as it is made, and as it is gone through, for what is wrong."""

    path: Path
    missed: int = 0
    """Calls that were made and are not there, as far as it was gone through."""

    def __post_init__(self) -> None:
        if not size_of(self.path, TRACE):
            raise UsageError(f"{self.path}: empty: nothing was recorded; {TRACE.remedy}")

    def __iter__(self) -> Iterator[Call]:
        self.missed = 0
        lines = self._lines()
        self._check_head(next(lines))
        found, latest = 0, 0.0
        for number, line in enumerate(lines, 2):
            fields = self._object(number, line)
            if "missed" in fields:
                self.missed += self._whole(number, "missed", fields["missed"])
                continue
            found += 1
            call = self._call(number, fields)
            if call.seconds < latest - DISORDER:
                told = f"{call.seconds:g} is more than {DISORDER:g} s before {latest:g}, which came before"
                self._refuse(number, "t", told, "are these two recordings? name each by itself")
            latest = max(latest, call.seconds)
            yield call
        if not found:
            missed = f", and {self.missed:,} were missed, as those with grids on a device are" if self.missed else ""
            self._refuse(2, "", f"there is no call after the head{missed}", "record while the tower is called")

    def _lines(self) -> Iterator[bytes]:
        try:
            with self.path.open("rb") as file:
                for number, line in enumerate(iter(lambda: file.readline(Limit.CALL.most + 1), b""), 1):
                    Limit.CALL.check(len(line), f"{self.path}, line {number}", "is it what was recorded?")
                    if number == 1 and (packed := [kind for magic, kind in PACKED.items() if line.startswith(magic)]):
                        raise UsageError(f"{self.path}: packed with {packed[0]}; unpack it, and name what comes of it")
                    if not line.endswith(b"\n"):
                        told = "it was cut off: its process was ended, or it was copied while it was written"
                        self._refuse(number, "", told, f"take it away with `sed -i '$ d' {self.path}`")
                    yield line
        except OSError as error:
            raise UsageError(TRACE.say(TRACE.unreadable, self.path, error.strerror)) from None

    def _check_head(self, line: bytes) -> None:
        fields = self._object(1, line)
        version = fields.get("vlbench_trace")
        if version is None:
            self._refuse(1, "vlbench_trace", "missing: these are no recorded calls", TRACE.remedy)
        if version != VERSION or isinstance(version, bool):
            told = f"the version is {version!s:.20}, and this vlbench reads {VERSION}"
            self._refuse(1, "vlbench_trace", told, "read it with the vlbench that recorded it, or record again")

    def _object(self, number: int, line: bytes) -> dict[str, Any]:
        found = parse_json(line, f"{self.path}, line {number}", LINE)
        if not isinstance(found, dict):
            self._refuse(number, "", "it holds no object")
        return found

    def _call(self, number: int, fields: dict[str, Any]) -> Call:
        if tuple(fields) != FIELDS and set(fields) != set(FIELDS):
            unknown = [name for name in fields if name not in FIELDS]
            lacks = [name for name in FIELDS if name not in fields]
            field = (unknown or lacks)[0]
            told = f"unknown; fields are {', '.join(FIELDS)}" if unknown else "missing"
            self._refuse(number, f"{field:.40}", told)
        seconds, dtype, queue = fields["t"], fields["dtype"], fields["queue"]
        if type(seconds) not in (int, float) or not 0 <= seconds <= MOST:
            self._refuse(number, "t", f"{seconds!r:.40} has to be seconds from 0 to {MOST:,}")
        if dtype is not None and not (isinstance(dtype, str) and DTYPE.fullmatch(dtype)):
            self._refuse(number, "dtype", f"{dtype!r:.40} has to be a name such as 'bfloat16', or null")
        if queue is not None:
            self._whole(number, "queue", queue)
        return Call(seconds, self._grids(number, fields["grids"]), dtype, queue)

    def _grids(self, number: int, rows: Any) -> tuple[Grid, ...]:
        if not isinstance(rows, list) or not rows:
            self._refuse(number, "grids", f"{rows!r:.40} has to be a list of [frames, rows, columns]")
        Limit.ITEMS.check(len(rows), f"{self.path}, line {number}, grids", "take the line out")
        for place, row in enumerate(rows):
            if not isinstance(row, list) or [*map(type, row)] != [int, int, int]:
                self._refuse(number, f"grids[{place}]", f"{row!r:.40} has to be three whole numbers")
            if not is_grid(row):
                told = f"{row!r:.60} has to be above 0 and up to {LONGEST_SIDE:,}, with even rows and columns"
                self._refuse(number, f"grids[{place}]", f"{told}, of at most {Limit.PATCHES.most:,} patches")
        Limit.PATCHES.check(sum(map(prod, rows)), f"{self.path}, line {number}, grids", "take the line out")
        return tuple(map(tuple, rows))

    def _whole(self, number: int, field: str, value: Any) -> int:
        if type(value) is not int or not 0 <= value <= MOST:
            self._refuse(number, field, f"{value!r:.40} has to be a whole number from 0 to {MOST:,}")
        return value

    def _refuse(self, number: int, field: str, told: str, remedy: str = CHANGED) -> NoReturn:
        named = f", field {field}" if field else ""
        raise UsageError(f"{self.path}, line {number}{named}: {told}; {remedy}")


class Summary(NamedTuple):
    """What a file of recorded calls comes to."""

    path: Path
    calls: int
    images: int
    patches: int
    seconds: float
    """Up to its last call."""
    missed: int


def summary_of(path: Path) -> Summary:
    """Goes through the whole file. Raises UsageError."""
    trace, calls, images, patches, last = Trace(path), 0, 0, 0, 0.0
    for call in trace:
        calls, images, last = calls + 1, images + len(call.grids), max(last, call.seconds)
        patches += sum(t * h * w for t, h, w in call.grids)
    return Summary(path, calls, images, patches, last, trace.missed)


def is_trace(name: str) -> bool:
    """Is it the name of a file of recorded calls, packed or not?"""
    return name.endswith(SUFFIXES)
