"""Tables of kernel times: `python -m results.take_kernel_times tables` makes vlbench/kernel_times/boards.

They are taken from the package aiconfigurator-core (the extra `kernel-times`, which also brings pyarrow), or from a
folder that its wheel was unpacked to. Rows that none of our towers' shapes lie between are left out. `captured` holds
the model of operations that only move bytes against captures of real GPUs.
"""

from __future__ import annotations

import gzip
import importlib.util
import re
import sqlite3
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from statistics import median, quantiles
from typing import Annotated, Any

import typer
import yaml

from vlbench.errors import UsageError
from vlbench.kernel_times.hold_out import with_errors
from vlbench.kernel_times.look_up import FOLDER, moved
from vlbench.kernel_times.stored import Memory, Source, StoredBoard, TimeTable, What
from vlbench.kernel_times.table import generation
from vlbench.record.base import Amount, Count, Record
from vlbench.record.files import write_whole

PACKAGE, VERSION = "aiconfigurator-core", "0.12.0"
LICENCE = "Apache-2.0"
COPYRIGHT = "Copyright (c) 2025-2026 NVIDIA CORPORATION & AFFILIATES. All rights reserved."
CHANGES = "rows around the shapes of Qwen-VL vision towers, rounded to three digits; milliseconds became microseconds"
MIB = 1 << 20
BOARDS = {
    "h100": ("h100_sxm", "NVIDIA H100 SXM", "sm_90", 50 * MIB, 132),
    "h200": ("h200_sxm", "NVIDIA H200 SXM", "sm_90", 50 * MIB, 132),
    "l40s": ("l40s", "NVIDIA L40S", "sm_89", 96 * MIB, 142),
    "b200": ("b200_sxm", "NVIDIA B200 SXM", "sm_100", 126 * MIB, 148),
    "b300": ("b300_sxm", "NVIDIA B300 SXM", "sm_100", 126 * MIB, 148),
    "gb200": ("gb200", "NVIDIA GB200", "sm_100", 126 * MIB, 152),
    "gb300": ("gb300", "NVIDIA GB300", "sm_100", 126 * MIB, 152),
    "rtx-pro-6000": ("rtx_pro_6000_server", "NVIDIA RTX PRO 6000 Blackwell Server Edition", "sm_89", 128 * MIB, 188),
}
"""By name: the folder of the package, the GPU, the nearest profile of the counting device, the bytes of its L2, and its
multiprocessors (NVIDIA's architecture papers; on the four Blackwell boards these are also the numbers with which the
hold-out errors of attention are least)."""
ENGINES = {"vllm": "0.24.0", "sglang": "0.5.14"}
"""The first leads. The second's attention is taken where it is by the same kernel: Triton's, which it runs on some
boards, takes two to nine times as long, and TensorRT-LLM's differs by a third."""
DTYPES = {"bfloat16": ("bfloat16", ("vllm", "sglang")), "fp8": ("float8_e4m3fn", ("vllm",))}
"""What torch calls them, and whose products are taken: in fp8 each engine has a kernel of its own."""
HEAD_DIMS, HEADS = (64, 72, 80), (2, 4, 8, 12, 16)
NS, KS = (128, 10_240), (128, 6_144)
"""Least and most n and k: what our towers have lies between, the tiny ones among them."""
app = typer.Typer(add_completion=False)


@app.command()
def tables(
    package: Annotated[
        Path | None, typer.Option(help="Folder of the unpacked wheel, where it is not installed")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the boards' files")] = FOLDER,
) -> None:
    """Every board's file, with the errors of its held-out rows."""
    folder = (package or _installed()) / "aiconfigurator_core" / "systems"
    if not folder.is_dir():
        raise UsageError(f"--package: {folder} is not there; give the folder that the wheel was unpacked to")
    out.mkdir(exist_ok=True)
    for name in BOARDS:
        made = with_errors(taken(name, folder))
        packed = gzip.compress(made.model_dump_json().encode(), 9, mtime=0)
        (out / f"{name}.json.gz").write_bytes(packed)
        measured = sum(us is not None for each in made.tables for row in each.us for us in row)
        print(f"{name}: {measured:,} times, {len(packed):,} bytes")


def _installed() -> Path:
    found = importlib.util.find_spec("aiconfigurator_core")
    if found is None or found.origin is None:
        raise UsageError(f"{PACKAGE} is not installed; pip install 'vlbench[kernel-times]', or give --package FOLDER")
    if (version := metadata.version(PACKAGE)) != VERSION:
        raise UsageError(f"{PACKAGE} is {version}; install {VERSION}, of which the tables are")
    return Path(found.origin).parents[1]


def taken(name: str, folder: Path) -> StoredBoard:
    """A board of the package, without errors yet."""
    inside, gpu, profile, l2, sms = BOARDS[name]
    told = yaml.safe_load((folder / f"{inside}.yaml").read_text())
    memory = Memory(
        bytes_per_s=float(told["gpu"]["mem_bw"]),
        factor=float(told["gpu"]["mem_bw_empirical_scaling_factor"]),
        constant_us=round(float(told["gpu"]["mem_empirical_constant_latency"]) * 1e6, 3),
        l2_bytes=l2,
        pcie_bytes_per_s=float(told["node"]["pcie_bw"]),
    )
    today = datetime.now(UTC).date().isoformat()
    source = Source(
        package=PACKAGE, version=VERSION, licence=LICENCE, copyright=COPYRIGHT, taken=today, changes=CHANGES
    )
    found = [*_products(folder / told["data_dir"]), *_attention(folder / told["data_dir"])]
    return StoredBoard(board=name, gpu=gpu, profile=profile, source=source, memory=memory, tables=tuple(found), sms=sms)


def _products(folder: Path) -> Iterator[TimeTable]:
    for dtype, (called, engines) in DTYPES.items():
        for engine in engines:
            frame = _read(folder / "gemm" / engine / ENGINES[engine] / "gemm_perf.parquet")
            frame = frame[frame["gemm_dtype"] == dtype]
            wanted = frame["n"].between(*NS) & frame["k"].between(*KS) & frame["m"].map(is_wanted)
            yield _table("product", f"{engine} {ENGINES[engine]}", called, 0, frame[wanted], ("n", "k", "m"))


def is_wanted(m: int) -> bool:
    """Is this a number of rows that a tower may have, or one to look up between?"""
    return m >= 64 or m.bit_count() == 1


def _attention(folder: Path) -> Iterator[TimeTable]:
    sizes = ("num_heads", "batch_size", "isl")
    for head_dim in HEAD_DIMS:
        found: list[TimeTable] = []
        for engine, version in ENGINES.items():
            frame = _read(folder / "encoder_attention" / engine / version / "encoder_attention_perf.parquet")
            kept = frame[(frame["head_dim"] == head_dim) & frame["num_heads"].isin(HEADS)]
            found.append(_table("attention", f"{engine} {version}", "bfloat16", head_dim, kept, sizes))
        yield from (each for each in found if generation(each.kernel) == generation(found[0].kernel))


def _read(path: Path) -> Any:
    import pandas as pd

    return pd.read_parquet(path)


def _table(what: What, engine: str, dtype: str, head_dim: int, frame: Any, sizes: tuple[str, str, str]) -> TimeTable:
    """The rows of a frame; where one is there twice, their median."""
    (kernel,) = set(frame["kernel_source"])
    times = frame.groupby(list(sizes))["latency"].median()
    steps = sorted(map(int, set(frame[sizes[2]])))
    rows: dict[tuple[int, int], dict[int, float]] = {}
    for (first, second, step), ms in times.items():
        rows.setdefault((int(first), int(second)), {})[int(step)] = float(f"{ms * 1e3:.3g}")
    return TimeTable(
        what=what,
        engine=engine,
        kernel=kernel,
        dtype=dtype,
        head_dim=head_dim,
        steps=tuple(steps),
        pairs=tuple(rows),
        us=tuple(tuple(row.get(step) for step in steps) for row in rows.values()),
    )


MOVED = Path(__file__).parent / "kernel_times" / "moved.json"
THREADS = 128
ADDS_UP = re.compile(
    r"vectorized_elementwise_kernel<\(int\)4, .*<float.*>, std::array<char \*, \(unsigned long.*\)(\d)>"
)
"""Of PyTorch's element-wise kernels on contiguous float tensors: how many tensors one reads and writes. A block of 128
threads has 512 elements, so that the blocks of a launch say how many there are."""
PER_BLOCK = 4 * THREADS
QUERY = """
SELECT s.value, k.gridX * k.gridY * k.gridZ, k.end - k.start FROM CUPTI_ACTIVITY_KIND_KERNEL k
JOIN StringIds s ON s.id = k.demangledName WHERE k.blockX = 128 AND s.value LIKE '%vectorized_elementwise_kernel%'
"""
COPIES = "SELECT 2 * bytes, end - start FROM CUPTI_ACTIVITY_KIND_MEMCPY WHERE copyKind = 8"


class Residuals(Record):
    """The model of moved bytes against one capture."""

    gpu: str
    kernels: Count
    """Runs of kernels whose bytes follow from their name and launch."""
    shapes: Count
    median: Amount
    """Relative error of the median time of a shape."""
    p90: Amount
    within: Amount
    """Share of the shapes whose median time lies in the band."""


class Moved(Record):
    """All captures that have such kernels."""

    captures: dict[str, Residuals]


@app.command()
def captured(folder: Annotated[Path, typer.Argument(help="Folder of SQLite exports by nsys")]) -> None:
    """Residuals of the model of operations that only move bytes."""
    found = {path.stem: made for path in sorted(folder.glob("*.sqlite")) if (made := residuals(path))}
    if not found:
        raise UsageError(f"{folder}: no capture of PyTorch's element-wise kernels is in it; give another folder")
    MOVED.parent.mkdir(exist_ok=True)
    write_whole(MOVED, Moved(captures=found).model_dump_json(indent=1) + "\n")


def residuals(path: Path) -> Residuals | None:
    """Of one capture; None where it has no such kernels, or does not say of which GPU it is."""
    with sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True) as connection:
        try:
            gpu = connection.execute("SELECT name, memoryBandwidth, l2CacheSize FROM TARGET_INFO_GPU").fetchone()
            times: dict[tuple[str, int], list[float]] = {}
            for name, blocks, ns in connection.execute(QUERY):
                if found := ADDS_UP.search(name):
                    size = blocks * PER_BLOCK * int(found[1]) * 4
                    times.setdefault((name, size), []).append(ns / 1e3)
        except sqlite3.OperationalError:  # an export without these tables
            return None
    if not times:
        return None
    memory = _memory_of(*gpu[1:])
    pairs = [(median(each), moved(memory, size)) for (_, size), each in times.items()]
    off = [abs(time.us / us - 1) for us, time in pairs]
    inside = sum(time.low <= us <= time.high for us, time in pairs)
    return Residuals(
        gpu=gpu[0],
        kernels=sum(map(len, times.values())),
        shapes=len(times),
        median=round(median(off), 4),
        p90=round(quantiles(off, n=10)[-1] if len(off) > 1 else off[0], 4),
        within=round(inside / len(off), 4),
    )


def _memory_of(bytes_per_s: int, l2_bytes: int) -> Memory:
    """That of the GPU of a capture."""
    return Memory(bytes_per_s=float(bytes_per_s), factor=0.8, constant_us=3.0, l2_bytes=l2_bytes, pcie_bytes_per_s=16e9)


if __name__ == "__main__":
    try:
        app()
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
