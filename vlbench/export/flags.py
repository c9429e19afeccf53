"""What a flag changes in the counters, in words."""

from collections.abc import Iterator

from vlbench.implementations.config import MODELS
from vlbench.implementations.optimized import OPTIMIZATIONS, Optimization
from vlbench.judging.words import readable_bytes
from vlbench.record.flag_counts import CHURN_PLANS, FlagCounts, stored_counts
from vlbench.workload.seams import CASES

COUNTED_ON = (
    "second forward of qwen2.5-vl-7b, bfloat16, as sm_90: single-image / multi-image where it differs; "
    "plans in churn are those that cuDNN builds in eight more calls"
)
SHOWN = {
    "device_operations": "operations",
    "attention_calls": "attention calls",
    CHURN_PLANS: "plans in churn",
    "host_syncs": "waits",
    "uploads": "uploads",
    "upload_bytes": "uploaded",
    "pinned_uploads": "pinned",
    "implicit_uploads": "implicit uploads",
    "allocated_bytes": "allocated",
    "live_bytes": "kept",
    "peak_live_bytes": "peak",
}
"""Counters in the order in which they are told. Those left out move with one of these."""
LONG = {CHURN_PLANS: "plans that cuDNN builds on the host in eight calls on changing grids:"}
"""Of those the ones that need more words where there is room."""
LEAST_BYTES = 1_000_000
"""Fewer are left out of the words; the file has them."""
HOST_TIME = "host time only"
PATCHES, BFLOAT16 = 36 * 36, 2
"""Of an image of 504x504 pixels, and bytes of an element."""


def moves_in_words(flag: str) -> str:
    """Such as "waits -4,225 / -42,097": of one image and of several, one figure where both are the same.

    Raises UsageError where the shipped counts are damaged.
    """
    found = stored_counts().flags.get(flag)
    if found is None:
        return "not counted yet"
    if found.uncounted:
        return f"not counted: {found.uncounted}"
    beside = f"beside {' and '.join(found.beside)}: " if found.beside else ""
    beside = f"on {found.model}{', ' if beside else ': '}{beside}" if found.model else beside
    (where, moved), *_ = found.moves.items()
    one_call = f" (one call of the {where})" if where.startswith("seam ") else ""
    if told := ", ".join(_told(found)):
        return beside + told + one_call
    if one_call and not moved:
        return "no counter moves" + one_call
    if kinds := [f"{name.removeprefix('aten::')} {much:+}" for name, much in moved.items() if "::" in name]:
        return f"{beside}no counter, one operation for another: {', '.join(kinds)}"
    return beside + (f"memory alone, under {readable_bytes(LEAST_BYTES)}" if moved else _note(flag) or HOST_TIME)


def effects(flag: str) -> list[str]:
    """The same for who has room: a line for each counter, which says of what was fed in how it moves.

    Raises UsageError where the shipped counts are damaged.
    """
    found = stored_counts().flags.get(flag)
    if found is None or not (moved := list(_moved(found))):
        return [moves_in_words(flag)]
    about = [f"beside {' and '.join(found.beside)}"] * bool(found.beside)
    about += [f"one call of the {where}" for where in found.moves if where.startswith("seam ")]
    lines = []
    for counter, figures in moved:
        places = zip(figures, found.moves, strict=True)
        on = [f"{figure} on {place}" for figure, place in places] if len(set(figures)) > 1 else figures[:1]
        lines.append(f"{LONG.get(counter, SHOWN[counter])} {', '.join(on)}")
    return [*lines, *([f"({', '.join(about)})"] if about else [])]


def counted_on(flag: str) -> str:
    """What was counted for `effects`; "" of what was not. Raises UsageError where the shipped counts are damaged."""
    whole = stored_counts()
    if (found := whole.flags.get(flag)) is None or not found.moves:
        return ""
    (where, *_), as_what = found.moves, f"{found.model or whole.model}, {whole.dtype}, as {whole.profile}"
    if where.startswith("seam "):
        return f"one call of the {where} on {_size_of(where)}, with the sizes of {as_what}"
    return f"second forward of {as_what}, on {' and '.join(found.moves)}"


def _size_of(where: str) -> str:
    """On which of its sizes a seam is counted: the first."""
    case = next(each for each in CASES.values() if where in [f"seam {seam.name}" for seam in each.seams])
    return next(iter(case.sizes))


def _note(flag: str) -> str:
    return OPTIMIZATIONS[flag].note if flag in OPTIMIZATIONS else ""


def _told(found: FlagCounts) -> Iterator[str]:
    for counter, figures in _moved(found):
        yield f"{SHOWN[counter]} {' / '.join(dict.fromkeys(figures))}"


def _moved(found: FlagCounts) -> Iterator[tuple[str, list[str]]]:
    """Each counter that is told, with how it moves on each thing that was fed in."""
    for counter in SHOWN:
        figures = [moves.get(counter, 0) for moves in found.moves.values()]
        in_bytes = counter.endswith("bytes")
        if max(map(abs, figures), default=0) >= (LEAST_BYTES if in_bytes else 1):
            yield counter, [_signed_bytes(each) if in_bytes else f"{each:+,}" for each in figures]


def _signed_bytes(count: int) -> str:
    return f"{'-' if count < 0 else '+'}{readable_bytes(abs(count))}"


def traffic_in_words(flag: Optimization) -> str:
    """What one call of a flag's kernel moves, against the least that any kernel must; "" for a flag without one."""
    if flag.traffic is None:
        return ""
    stored = stored_counts()
    counted = stored.flags.get(flag.flag)
    model = (counted and counted.model) or stored.model
    traffic = flag.traffic(MODELS[model], PATCHES, BFLOAT16)
    return (
        f"{readable_bytes(traffic.moved)} loaded and stored in one call, {traffic.moved / traffic.least:.2f} times the "
        f"{readable_bytes(traffic.least)} that any kernel must ({PATCHES:,} patches of {model} in bfloat16)"
    )
