"""`vlbench.simulate`: an encoder's cache and graphs under requests of a mix; nothing is run unless asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import isqrt
from pathlib import Path
from typing import TYPE_CHECKING

from vlbench.api.counts import MODEL, count
from vlbench.api.results import Simulated
from vlbench.errors import UsageError
from vlbench.export.progress import Watcher, watcher
from vlbench.export.sheet import Words
from vlbench.export.simulated import simulated_parts
from vlbench.implementations.packing import MERGE_UNIT, Budgets, Grid
from vlbench.judging.words import parse_size
from vlbench.towers.models import find_device, find_model, smallest_of
from vlbench.traffic.trace import Trace, is_trace
from vlbench.workload.library import load_scenario
from vlbench.workload.ranks import OverRanks
from vlbench.workload.scenario import Mix
from vlbench.workload.serving import (
    Encoder,
    Recorded,
    Served,
    Traffic,
    embedding_bytes,
    graph_bytes,
    kv_bytes_of,
    serve,
)

if TYPE_CHECKING:
    from vlbench.implementations.config import VisionConfig
    from vlbench.trial.break_even import BreakEven

SCENARIO = "serving-mix"
CACHE = "1GiB"
REQUESTS = 1000
EVERY = 1000
"""Requests between two lines about how far it is."""
MOST_TOKENS = 10**6
"""Of a graph, as of `memory_at`."""


def simulate(
    scenario: str = SCENARIO,
    *,
    model: str = MODEL,
    requests: int | None = None,
    turns: float = 1.0,
    conversations: int = 64,
    cache: str = CACHE,
    budgets: Sequence[int] | None = None,
    most_padding: float = 1.0,
    graphs: int = 64,
    ranks: int | None = None,
    memory_at: int | None = None,
    kv_bytes: int | None = None,
    break_even: bool = False,
    seed: int = 0,
    progress: bool | Callable[[str], None] = True,
) -> Simulated:
    """What a cache of embeddings finds, and what packing and graphs come to, over so many requests of a mix.

    `scenario` may also be a file of recorded calls (.jsonl), of which each is a request and a step of its own: by
    default all are gone through, of a mix 1,000 are drawn.

    `turns` is how often a conversation sends its images on average, alternating with `conversations` others: no trace
    says which images come again. `cache` is a size such as "4GiB". `budgets` are sizes of graphs in tokens, by default
    powers of two from 64 to 8,192; `most_padding` the share of a graph's patches that may be padding; `graphs` how many
    are kept for exact layouts. With `ranks`, every call is also shared out over so many GPUs, by images and by parts of
    the tower. With `memory_at`, the encoder's memory for a forward of so many tokens is counted on the counting
    device, and all its memory told in tokens of the KV cache, `kv_bytes` each. With `break_even`, capturing
    and replaying a graph are timed here, on a CPU with the smallest model of the family.

    Raises UsageError for a scenario that draws no requests, and for what cannot be had as asked.
    """
    config = find_model(model)
    encoder = Encoder(parse_size(cache, "--cache"), embedding_bytes(config), _sizes(budgets, most_padding), graphs)
    mixes, limit = _mixes(scenario, requests)
    kv_token = kv_bytes or (kv_bytes_of(model) if memory_at else 1)
    served: dict[str, Served] = {}
    ranked: dict[str, OverRanks] = {label: OverRanks(config, ranks) for label in mixes} if ranks else {}
    with watcher(progress) as watch:
        for label, mix in mixes.items():
            traffic = Traffic(mix, limit, turns, conversations, seed)
            tell, called = partial(_tell, watch, f"simulating {scenario}, {label}"), ranked.get(label, _nothing)
            served[label] = serve(traffic, encoder, tell, called)
            served[label].ranked = ranked[label].found if ranks else {}
    memory: dict[str, int] = {}
    if memory_at is not None:
        memory = {
            f"a forward of {memory_at:,} tokens": counted_peak(model, memory_at),
            f"the cache, of at most {cache}": max(each.cache_bytes for each in served.values()),
            "graphs of a few sizes": sum(graph_bytes(config, size) for size in encoder.budgets.patches),
        }
    paid = _timed_here(config) if break_even else None
    parts = list(simulated_parts(scenario, model, served, memory, kv_token, paid))
    if missed := sum(each.trace.missed for each in mixes.values() if isinstance(each, Recorded)):
        parts.append(
            Words(f"{missed:,} more calls were made and could not be written down: not all is here.", "yellow")
        )
    many = max(each.requests for each in served.values())
    return Simulated(served, parts, f"{scenario} over {model}, {many:,} requests, simulated")


def _nothing(call: Sequence[Grid]) -> None:
    """Nothing is asked about calls."""


def _tell(watch: Watcher, what: str, requests: int) -> None:
    if requests % EVERY == 0:
        watch.say(f"{what}: {requests:,} requests")


def _mixes(scenario: str, requests: int | None) -> tuple[Mapping[str, Mix | Recorded], int | None]:
    """What comes, by point, and how many of it. Raises UsageError for a scenario that says no requests."""
    if is_trace(scenario):
        return {"recorded": Recorded(Trace(Path(scenario)))}, requests
    mixes = {point.label: point.mix for point in load_scenario(scenario).points("cuda") if point.mix}
    if not mixes:
        told = f"--scenario {scenario!r} draws no requests; name one with a [mix], such as {SCENARIO}"
        raise UsageError(f"{told}, or recorded calls (.jsonl)")
    return mixes, requests or REQUESTS


def _timed_here(config: VisionConfig) -> BreakEven:
    """Of the model itself on a GPU; on a CPU one of its forwards may take half a minute."""
    from vlbench.trial.break_even import break_even

    device = find_device("auto")
    return break_even(config.name if device == "cuda" else smallest_of(config.family), device)


def _sizes(tokens: Sequence[int] | None, most_padding: float) -> Budgets:
    try:
        if tokens is None:
            return Budgets(most_padding=most_padding)
        if beyond := [each for each in tokens if each > MOST_TOKENS]:
            raise ValueError(f"{beyond[0]} tokens are more than {MOST_TOKENS:,}; give at most that")
        return Budgets(tuple(MERGE_UNIT * each for each in tokens), most_padding)
    except ValueError as error:
        raise UsageError(f"--budgets: {error}") from None


def counted_peak(model: str, tokens: int) -> int:
    """Bytes that a forward of one image of about so many tokens holds at most beside the weights, with flags `best`."""
    down = isqrt(tokens)
    grid = f"1x{2 * down}x{2 * -(-tokens // down)}"
    report = count(model, variant=["best"], grid=[grid], progress=False).record
    row = report.groups[0].towers[-1]
    if row.warm is None:
        raise UsageError(f"--memory-at: a forward of {tokens:,} tokens was not counted: {row.failed}; give fewer")
    return row.warm.counts.peak_live_bytes - row.warm.counts.live_bytes_before
