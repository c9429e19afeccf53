"""What profilers found, as tables."""

from collections.abc import Iterable, Mapping, Sequence

from vlbench.export.sheet import Cell, Column, Columns, Table, figure, table_of
from vlbench.judging.words import number_of
from vlbench.profiling.clock import Breakdown
from vlbench.profiling.tally import Charge
from vlbench.profiling.trace import Operator

OWN = "one forward, medians; own: without the stages inside"


def stage_table(found: Breakdown) -> Table:
    """A row per stage: visits, own and total time, share of all own time, and exact counts without inner stages."""
    host, gpu = found.host, found.gpu or {}
    whole = sum(charge.own for charge in host.values())
    columns: Columns[str] = {
        "stage": str,
        Column("n", "visits"): lambda stage: figure(host[stage].visits, "{:g}"),
        Column("own ms", "own_seconds"): lambda stage: _ms(host[stage].own),
        Column("total ms", "total_seconds"): lambda stage: _ms(host[stage].total),
        Column("share", "share"): lambda stage: figure(host[stage].own / whole if whole else None, "{:.1%}"),
    }
    if found.gpu is not None:
        columns[Column("GPU own", "gpu_own_seconds")] = lambda stage: _ms(gpu[stage].own) if stage in gpu else None
        columns[Column("GPU total", "gpu_total_seconds")] = lambda stage: (
            _ms(gpu[stage].total) if stage in gpu else None
        )
    columns[Column("aten ops", "aten_operations")] = lambda stage: _own(found.operations, stage)
    columns[Column("SDPA", "attention_calls")] = lambda stage: _own(found.attention_calls, stage)
    idle = "; GPU: between events, idle time included" if found.gpu is not None else ""
    return table_of("stages", host, columns, title=OWN + idle)


def operator_table(operators: Iterable[Operator], limit: int) -> Table:
    """Operations by own host time."""
    columns: Columns[Operator] = {
        Column("aten::", "operation"): lambda operator: operator.name,
        Column("n", "calls"): lambda operator: operator.calls,
        Column("own ms", "own_seconds"): lambda operator: _ms(operator.own_seconds),
    }
    return table_of("operations", operators, columns, title="operations on the host, whole trace", limit=limit)


def range_table(ranges: Sequence[tuple[str, int, float]]) -> Table:
    """Ranges of a trace: name, instances and seconds on the host."""
    columns = [Column("range"), Column("n", "instances"), Column("ms", "seconds")]
    rows = [(name, instances, _ms(seconds)) for name, instances, seconds in ranges]
    return Table("ranges", columns, rows, "ranges on the host, whole trace")


def overhead_table(costs: Mapping[str, float], stages: int, forward_seconds: float) -> Table:
    """Seconds of entering and leaving one stage, by who listens, and what all of a forward's stages make of it."""
    columns: Columns[tuple[str, float]] = {
        "listener": lambda cost: cost[0],
        Column("ns a stage", "seconds"): lambda cost: figure(cost[1], lambda seconds: f"{seconds * 1e9:.0f}"),
        Column("us a forward", "forward_seconds"): lambda cost: figure(
            cost[1] * stages, lambda seconds: f"{seconds * 1e6:.1f}"
        ),
        Column("share of it", "share"): lambda cost: figure(cost[1] * stages / forward_seconds, "{:.3%}"),
    }
    title = f"{number_of(stages, 'stage')} in a forward of {forward_seconds * 1e3:.3g} ms"
    return table_of("overhead", costs.items(), columns, title=title)


def _own(charges: Mapping[str, Charge], stage: str) -> Cell:
    return figure(charges[stage].own if stage in charges else None, "{:g}")


def _ms(seconds: float) -> Cell:
    return figure(seconds, lambda seconds: f"{seconds * 1e3:.3f}")
