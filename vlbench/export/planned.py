"""A plan for many machines, and how the machines that ran it differ."""

from collections.abc import Callable, Iterator, Sequence

from vlbench.export.sheet import Cell, Column, Columns, Part, Words, table_of
from vlbench.judging.words import change, milliseconds, number_of
from vlbench.record.plan_file import PlanLine
from vlbench.record.shards import Bracket, ShardRun

Figure = Callable[[Bracket], float | None]
FIGURES: dict[str, tuple[Figure, Callable[[float], str]]] = {
    "A/A cell": (lambda end: end.seconds, lambda value: f"{milliseconds(value)} ms"),
    "copy over reference": (lambda end: end.ratio, change),
    "matrix product": (lambda end: end.card.gemm_fp32_gflops if end.card else None, "{:,.0f} GFLOP/s".format),
    "copy": (lambda end: end.card.copy_gb_s if end.card else None, "{:,.1f} GB/s".format),
    "launch": (lambda end: end.card.launch_us if end.card else None, "{:.2f} us".format),
}
"""What is known of a machine at both ends of its part, and how it is written."""


def plan_parts(lines: Sequence[PlanLine]) -> list[Part]:
    """A row for each group of a plan, and what all of it takes."""
    columns: Columns[PlanLine] = {
        Column("group"): lambda line: line.group,
        Column("scenario", left=True): lambda line: " ".join(filter(None, (line.scenario, line.point))),
        Column("model", left=True): lambda line: line.model,
        Column("dtype", left=True): lambda line: line.dtype,
        Column("rows"): lambda line: len(line.rows),
        Column("trials"): lambda line: line.trials,
        Column("device", left=True): lambda line: line.needs.device,
    }
    first, seconds = lines[0], sum(line.seconds for line in lines)
    packages = ", ".join(dict.fromkeys(name for line in lines for name in line.needs.packages))
    told = f"Plan {first.plan}: {number_of(first.lines, 'line')}, at most {seconds:,.0f} s in all"
    parts: list[Part] = [table_of("plan", [line for line in lines if line.trial == 1], columns)]
    return [*parts, Words(f"{told}; needs {packages}." if packages else f"{told}.")]


def shard_parts(shards: Sequence[ShardRun]) -> Iterator[Part]:
    """How fast each machine was when its part began and when it ended, and how far machines are apart."""
    if not shards:
        return

    def both(read: Figure, write: Callable[[float], str]) -> Callable[[ShardRun], Cell]:
        def cell(shard: ShardRun) -> Cell:
            ends = [read(shard.begin), read(shard.end) if shard.end else None]
            told = "\n".join("-" if value is None else write(value) for value in ends)
            return Cell(told, dict(zip((f"{names[read]} begin", f"{names[read]} end"), ends, strict=True)))

        return cell

    names = {read: name for name, (read, _) in FIGURES.items()}
    columns: Columns[ShardRun] = {
        Column("shard"): lambda shard: shard.shard,
        Column("machine", left=True, most=16): lambda shard: shard.machine,
    }
    columns |= {
        Column(name.replace(" over ", " /\n").replace(" p", "\np")): both(*each) for name, each in FIGURES.items()
    }
    yield Words()
    yield table_of("shards", shards, columns, title="machines, where each part began and below it where it ended")
    for name in ("A/A cell", "matrix product", "copy", "launch"):
        values = [
            value for shard in shards for end in (shard.begin, shard.end) if end and (value := FIGURES[name][0](end))
        ]
        if len(values) > 1:
            yield Words(f"{name}: the largest of these is {change(max(values) / min(values))} over the smallest.")
    if len({shard.machine for shard in shards}) > 1:
        yield Words("Ratios and verdicts are each of one machine; milliseconds of different groups may not be.", "dim")
