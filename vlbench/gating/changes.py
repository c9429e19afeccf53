"""What differs between two versions of a baseline, in lines that a reviewer reads."""

from collections.abc import Iterator, Mapping
from statistics import median

from vlbench.comparing.further import calls_with, in_calls, words
from vlbench.judging.words import percent
from vlbench.record.baseline import Baseline, CapturedCell, CountedCell, TimedCell

SILENT = {"trials", "seconds", "stages", "counts"}
"""Fields of a timed cell that its ratio stands for, or that explain it."""
Cell = CountedCell | TimedCell | CapturedCell
FIRST = " of the first forward"
INSTANCES = "instances"
"""What a change calls how often a range was seen."""


def changes(before: Baseline, after: Baseline) -> tuple[str, ...]:
    """One line for each setting and for each cell whose figures are not the same.

    What explains figures, such as lines of code, is left out.
    """
    return (*_settings(before, after), *_cells(before, after))


def loosened(before: Cell, head: Cell) -> list[str]:
    """Counters of a capture that `head` lets vary, or by more, where `before` does not; each with its range."""
    if not (isinstance(before, CapturedCell) and isinstance(head, CapturedCell)):
        return []
    old = {each.name: each for each in before.ranges}
    pairs = [(old[each.name], each) for each in head.ranges if each.name in old]
    return [
        f"{name} in {now.name}"
        for was, now in pairs
        for name in dict.fromkeys((*now.unsteady, *now.mixed))
        if name not in was.unsteady and (name not in now.mixed or now.mixed[name][1] > was.mixed.get(name, (0, 0))[1])
    ]


def shortened(before: Cell, head: Cell) -> list[str]:
    """Ranges of a capture that `head` saw less often: their means, and calls beside them, are judged less closely."""
    old, new = ({each.name: each.instances for each in getattr(cell, "ranges", ())} for cell in (before, head))
    return [f"{INSTANCES} in {name}" for name in new if new[name] < old.get(name, 0)]


def _settings(before: Baseline, after: Baseline) -> Iterator[str]:
    for name in ("name", "trials", "budget"):
        a, b = getattr(before, name), getattr(after, name)
        if a != b:
            yield f"{name} {a} -> {b}"
    classes = before.fingerprint.machine_class, after.fingerprint.machine_class
    if classes[0] != classes[1]:
        yield f"measured on {classes[0]} -> {classes[1]}"
    here, there = before.fingerprint.libraries, after.fingerprint.libraries
    for name in sorted(here.keys() | there.keys()):
        if here.get(name) != there.get(name):
            yield f"{name} {here.get(name, 'none')} -> {there.get(name, 'none')}"
    old, new = ({each.tower: each for each in side.outputs} for side in (before, after))
    for tower in dict.fromkeys((*old, *new)):
        if old.get(tower) != new.get(tower):
            yield f"outputs of {tower}: {'removed' if tower not in new else 'changed' if tower in old else 'added'}"
    for tower in sorted(before.unchecked.keys() | after.unchecked.keys()):
        if before.unchecked.get(tower) != after.unchecked.get(tower):
            yield f"{tower} unchecked: {after.unchecked.get(tower, 'no more')}"
    if after.accepted[: len(before.accepted)] != before.accepted:
        yield "the history of acceptances, which was rewritten"


def _cells(before: Baseline, after: Baseline) -> Iterator[str]:
    old, new = ({cell.name: cell for cell in each.cells} for each in (before, after))
    for name in dict.fromkeys((*old, *new)):
        if name not in new:
            yield f"{name}: removed"
        elif name not in old:
            yield f"{name}: added"
        elif figures := ", ".join(_figures(old[name], new[name])):
            yield f"{name}: {figures}"


def _figures(before: Cell, after: Cell) -> Iterator[str]:
    here, there = dict(_flat(before)), dict(_flat(after))
    found = {key: (here.get(key, "none"), there.get(key, "none")) for key in dict.fromkeys((*here, *there))}
    for key, (a, b) in found.items():
        second = found.get(key.removesuffix(FIRST)) if key.endswith(FIRST) else None
        if a != b and second != (a, b):  # a tower that remembers nothing does the same in both forwards
            yield f"{key} {a} -> {b}"
    if isinstance(before, CountedCell) and isinstance(after, CountedCell):
        yield from _further(before, after)


def _further(before: CountedCell, after: CountedCell) -> Iterator[str]:
    """What changed in further calls; what changed as it did in the second forward is said in a word."""
    if before.further is None or after.further is None:
        if before.further is not after.further:
            yield f"further calls {'removed' if after.further is None else 'added'}"
        return
    here, there = before.further.calls, after.further.calls
    for verb, names in (("removed", here.keys() - there.keys()), ("added", there.keys() - here.keys())):
        if names:
            yield f"{verb} {', '.join(sorted(names))}"
    for (name, a, b), calls in in_calls(before.further, after.further).items():
        same = (before.warm.counters.get(name), after.warm.counters.get(name)) == (a, b)
        where = f" in {words(calls, calls_with(before.further, name))}" if calls else ""
        yield f"{name} the same{where}" if same else f"{name}{where} {a:,} -> {b:,}"


def _flat(cell: Cell) -> Iterator[tuple[str, str]]:
    if isinstance(cell, TimedCell):
        yield "ratio", f"{median(trial.ratio for trial in cell.trials):.4f}"
        yield from ((name, str(value)) for name, value in cell if name not in SILENT)
    elif isinstance(cell, CapturedCell):
        yield from _captured(cell)
    else:
        yield from _counted(cell)


def _captured(cell: CapturedCell) -> Iterator[tuple[str, str]]:
    yield from (("source", cell.source), ("GPUs", ", ".join(cell.gpus)), *cell.facts.items())
    yield from ((f"{name} not measured", why) for name, why in cell.unmeasured.items())
    yield from ((f"{name} beside the ranges", f"{calls:,}") for name, calls in (cell.beside or {}).items())
    for each in cell.ranges:
        counts = {INSTANCES: each.instances, **each.counters}
        yield from ((f"{name} in {each.name}", f"{value:,}") for name, value in counts.items())
        for name, (mean, most) in each.mixed.items():
            yield f"{name} in {each.name}", f"mixed ({mean:,g} on average, at most {most:,})"
        yield from ((f"{name} in {each.name}", "unsteady") for name in each.unsteady)
    yield from _bands(cell.bands)


def _counted(cell: CountedCell) -> Iterator[tuple[str, str]]:
    yield from ((name, f"{value:,}") for name, value in cell.warm.counters.items())
    yield from ((name + FIRST, f"{value:,}") for name, value in cell.cold.counters.items())
    yield from _bands(cell.bands)
    yield from ((name, str(value)) for name, value in cell.key)
    yield "grids", str(cell.grids)


def _bands(bands: Mapping[str, float]) -> Iterator[tuple[str, str]]:
    yield from ((f"band of {name}", percent(share)) for name, share in bands.items())
