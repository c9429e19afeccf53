"""Predicted timelines as a Chrome trace for Perfetto: of each row and host what the host issues, and the GPU."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from vlbench.nsys.perfetto import Event, write_events
from vlbench.predicting.rows import Simulated
from vlbench.predicting.timeline import Step, World, drawn, outer, steps_of

HOST, STAGES, GPU = range(3)
TRACKS = {HOST: "predicted host", STAGES: "stages, as the host issues them", GPU: "predicted GPU"}


def write_timelines(rows: Iterable[Simulated], path: Path) -> int:
    """Write the trace, gzipped where `path` ends in .gz; returns the number of events.

    Each row is there twice: on the fast host with the lowest times of the tables, on the slow one with the highest.
    """
    return write_events((event for number, row in enumerate(rows) for event in _events(row, number)), path)


def _events(row: Simulated, number: int) -> Iterator[Event]:
    ends, steps = outer(row.kernels.hosts), steps_of(row.events(), row.kernels)
    for place, world in enumerate((ends[0], ends[-1])):
        pid, kernels = 2 * number + place + 1, ("lowest", "highest")[place]
        title = f"predicted: {row.name}, {row.gpu}, {world.host.name} host, {kernels} kernel times"
        yield {"ph": "M", "name": "process_name", "pid": pid, "args": {"name": title}}
        for tid, name in TRACKS.items():
            yield {"ph": "M", "name": "thread_name", "pid": pid, "tid": tid, "args": {"name": name}}
        yield from _slices(steps, pid, world)


def _slices(steps: Sequence[Step], pid: int, world: World) -> Iterator[Event]:
    stage, began, until = "", 0.0, 0.0
    issued: dict[int, float] = {}
    for on_gpu, start, end, index in drawn(steps, world):
        event = steps[index].event
        name, kind = event.operation or event.kind.value, event.kind.value
        yield _slice(name, kind, start, end, pid, GPU if on_gpu else HOST, stage=event.stage, line=event.line)
        if on_gpu and index not in issued:
            continue  # one launch replays it with others
        if on_gpu:
            flow = {"name": "launch", "cat": "launch", "id": (pid << 32) + index, "pid": pid}
            yield flow | {"ph": "s", "ts": issued[index], "tid": HOST}
            yield flow | {"ph": "f", "bp": "e", "ts": start, "tid": GPU}
            continue
        issued[index] = start
        if event.stage != stage:
            if stage:
                yield _slice(stage, "stage", began, until, pid, STAGES)
            stage, began = event.stage, start
        until = end
    if stage:
        yield _slice(stage, "stage", began, until, pid, STAGES)


def _slice(name: str, kind: str, start: float, end: float, pid: int, tid: int, **args: str) -> Event:
    told = {key: value for key, value in args.items() if value}
    return {"ph": "X", "name": name, "cat": kind, "ts": start, "dur": end - start, "pid": pid, "tid": tid, "args": told}
