"""Do the counts of two captures compare, by what each says of itself? A capture in a baseline says the same."""

from vlbench.record.baseline import Origin

FACTS = {"CUDA_GRAPH_TRACE_OPTIONS:MODE": "CUDA graph mode", "CUDA_SKIP_SOME_API_CALLS": "skipping of CUDA calls"}
_MORE = 1.1  # by so much calls of other threads may differ from run to run


def obstacles(before: Origin, after: Origin, one: str = "one", two: str = "the other") -> list[str]:
    """Why the counts of two captures do not compare, by how they were taken; `one` and `two` name them."""
    found = []
    if before.source != after.source:
        sources = f"{one} is from {before.source} and {two} from {after.source}"
        found.append(f"{sources}, which do not count the same calls")
    if set(before.gpus) != set(after.gpus):
        here, there = (", ".join(sorted(set(each.gpus))) or "an unknown GPU" for each in (before, after))
        found.append(f"other GPUs: {one} is from {here} and {two} from {there}")
    for fact, name in FACTS.items():
        a, b = before.facts.get(fact), after.facts.get(fact)
        if a and b and a != b:
            found.append(f"the {name} was {a} and is {b}; counts with {a} and {b} differ for that alone")
    return found


def notes(before: Origin, after: Origin) -> list[str]:
    """What a reader of both has to know."""
    found = list(dict.fromkeys((*before.notes, *after.notes)))
    if before.version != after.version:
        found.append(f"made by {before.version} and {after.version}")
    lacking = before.unmeasured.items()
    return found + [f"{name} not measured in either: {why}" for name, why in lacking if name in after.unmeasured]


def uncounted(old: Origin, new: Origin, share: float, one: str = "the first", two: str = "the second") -> list[str]:
    """Why equal counters would not mean the same work, a sentence each; `one` and `two` name the captures.

    Counters that one has and the other has not, and calls beside the ranges that became more. `share`: how often `new`
    went through the ranges, for once in `old`.
    """
    sides = ((one, old.unmeasured, new.unmeasured), (two, new.unmeasured, old.unmeasured))
    found = [
        f"{name} not measured in {which}: {why}"
        for which, lacking, also in sides
        for name, why in lacking.items()
        if name not in also
    ]
    for name, calls in (new.beside or {}).items():
        if old.beside is not None and calls > _MORE * (known := old.beside.get(name, 0)) * share:
            beside = "began while a range was open, on another thread or beyond its end, and count for none"
            found.append(f"{calls} {name} of {two} {beside}; of {one} {known} did")
    return found
