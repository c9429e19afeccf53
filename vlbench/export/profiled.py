"""What profilers found, as tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from vlbench.export.sheet import Cell, Column, Row, Table
from vlbench.profiling.clock import Breakdown
from vlbench.profiling.tally import Charge
from vlbench.profiling.trace import Operator

OWN = "one forward, medians; own: without the stages inside"


def stage_table(found: Breakdown) -> Table:
    """A row per stage: visits, own and total time, share of all own time, and exact counts without inner stages."""
    names = {"stage": "stage", "n": "visits", "own ms": "own_seconds", "total ms": "total_seconds", "share": "share"}
    if found.gpu is not None:
        names |= {"GPU own": "gpu_own_seconds", "GPU total": "gpu_total_seconds"}
    names |= {"aten ops": "aten_operations", "SDPA": "attention_calls"}
    whole = sum(charge.own for charge in found.host.values())
    rows: list[Row] = []
    for name, charge in found.host.items():
        share = Cell(f"{charge.own / whole:.1%}", charge.own / whole) if whole else None
        on_gpu = found.gpu.get(name) if found.gpu is not None else None
        gpu = [_ms(on_gpu.own), _ms(on_gpu.total)] if on_gpu else [None, None] if found.gpu is not None else []
        counts = [_own(found.operations, name), _own(found.attention_calls, name)]
        visits = Cell(f"{charge.visits:g}", charge.visits)
        rows.append([name, visits, _ms(charge.own), _ms(charge.total), share, *gpu, *counts])
    idle = "; GPU: between events, idle time included" if found.gpu is not None else ""
    return Table("stages", _columns(names), rows, OWN + idle)


def operator_table(operators: Iterable[Operator], limit: int) -> Table:
    """Operations by own host time."""
    columns = _columns({"aten::": "operation", "n": "calls", "own ms": "own_seconds"})
    rows = [(one.name, one.calls, _ms(one.own_seconds)) for one in operators]
    return Table("operations", columns, rows, "operations on the host, whole trace", limit=limit)


def range_table(ranges: Sequence[tuple[str, int, float]]) -> Table:
    """Ranges of a trace: name, instances and seconds on the host."""
    columns = _columns({"range": "range", "n": "instances", "ms": "seconds"})
    rows = [(name, instances, _ms(seconds)) for name, instances, seconds in ranges]
    return Table("ranges", columns, rows, "ranges on the host, whole trace")


def overhead_table(costs: Mapping[str, float], stages: int, forward_seconds: float) -> Table:
    """Seconds of entering and leaving one stage, by who listens, and what all of a forward's stages make of it."""
    columns = _columns(
        {"listener": "listener", "ns a stage": "seconds", "us a forward": "forward_seconds", "share of it": "share"}
    )
    rows = []
    for name, seconds in costs.items():
        all_stages = seconds * stages
        share = all_stages / forward_seconds
        rows.append((
            *(name, Cell(f"{seconds * 1e9:.0f}", seconds), Cell(f"{all_stages * 1e6:.1f}", all_stages)),
            Cell(f"{share:.3%}", share),
        ))  # fmt: skip
    title = f"{stages} stages in a forward of {forward_seconds * 1e3:.3g} ms"
    return Table("overhead", columns, rows, title)


def _columns(names: Mapping[str, str]) -> list[Column]:
    return [Column(heading, name) for heading, name in names.items()]


def _own(table: Mapping[str, Charge], name: str) -> Cell | None:
    return Cell(f"{table[name].own:g}", table[name].own) if name in table else None


def _ms(seconds: float) -> Cell:
    return Cell(f"{seconds * 1e3:.3f}", seconds)
