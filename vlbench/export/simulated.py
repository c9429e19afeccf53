"""A simulation as a sheet: what was found in the cache, what graphs come to, and what memory that takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from vlbench.export.sheet import Column, Columns, Part, Table, Value, Words, figure, table_of
from vlbench.judging.words import readable_bytes
from vlbench.workload.ranks import Ranked
from vlbench.workload.serving import Served

if TYPE_CHECKING:
    from vlbench.trial.break_even import BreakEven

Row = tuple[str, Served]
"""Of a point of the scenario."""

ASSUMED = (
    "Simulated, not run: sizes are those of the trace; which images come again it does not say (--turns). "
    "Padding is a share of all patches that graphs compute; forwards with none (no graph) have no part in it. "
    "Capturing a graph pays where it costs less than what a replay saves times the replays of each graph: --break-even "
    "times both here."
)

RANKS = (
    "dp: whole images, the dearest first, each to the rank with the least so far; by patches: the same, without the "
    "square in attention over whole frames; tp: heads and MLPs are split, and sums go round a ring, in half "
    "precision. Arithmetic alone: what a collective takes, small kernels and hosts are not in it."
)


def simulated_parts(
    scenario: str,
    model: str,
    served: Mapping[str, Served],
    memory: Mapping[str, int],
    kv_bytes: int,
    paid: BreakEven | None = None,
) -> Iterator[Part]:
    """Tables of calls and of both kinds of graphs by point, of memory in bytes of a KV token, and of what was timed."""
    rows, facts = list(served.items()), {"scenario": scenario, "model": model}
    yield Words(f"{scenario}, {model}", "bold")
    share = "{:.1%}".format
    calls: Columns[Row] = {
        Column("waiting", "point"): lambda row: row[0],
        Column("requests"): lambda row: row[1].requests,
        Column("images"): lambda row: row[1].images,
        Column("in cache", "cache_hit_rate"): lambda row: figure(row[1].hit_rate, share),
        Column("cache held", "cache_bytes"): lambda row: figure(row[1].cache_bytes, readable_bytes),
        Column("calls"): lambda row: row[1].calls,
        Column("patches"): lambda row: row[1].patches,
    }
    yield table_of("served", rows, calls, facts=facts, title="the cache of embeddings, and calls of the encoder")
    graphs: Columns[Row] = {
        Column("waiting", "point"): lambda row: row[0],
        Column("hit", "exact_hit_rate"): lambda row: figure(row[1].exact_hit_rate, share),
        Column("replays", "replays_per_recording"): lambda row: figure(row[1].replays_per_capture, "{:.2f}"),
        Column("forwards"): lambda row: row[1].forwards,
        Column("padding", "padding_share"): lambda row: figure(row[1].padding_share, share),
        Column("none", "without"): lambda row: row[1].without,
        Column("sizes"): lambda row: len(row[1].sizes),
        Column("replays\neach", "replays_per_size"): lambda row: figure(row[1].replays_per_size, "{:.1f}"),
    }
    title = "a graph for each exact layout: calls that had one, replays of each; then graphs of a few sizes"
    yield table_of("served", rows, graphs, facts=facts, title=title)
    yield from _ranked(served, facts)
    if memory:
        yield _memory(memory, kv_bytes)
    if paid:
        yield _timed(paid)
    yield Words(ASSUMED, "dim")


def _ranked(served: Mapping[str, Served], facts: Mapping[str, Value]) -> Iterator[Part]:
    """How calls were shared out over ranks, and why not where a way cannot be; nothing where nobody asked."""
    rows = [(point, way, each) for point, found in served.items() for way, each in found.ranked.items()]
    if not rows:
        return
    columns: Columns[tuple[str, str, Ranked]] = {
        Column("waiting", "point"): lambda row: row[0],
        Column("way", left=True): lambda row: row[1],
        Column("balance"): lambda row: figure(row[2].balance, "{:.3f}"),
        Column("idle", "idle_share"): lambda row: figure(row[2].idle_share, "{:.1%}"),
        Column("no\nimage", "empty_share"): lambda row: figure(row[2].empty_share, "{:.1%}"),
        Column("speed-up", "speed_up"): lambda row: figure(row[2].speed_up, "{:.2f}x"),
        Column("collec-\ntives", "collectives_per_call"): lambda row: figure(row[2].collectives_per_call, "{:.0f}"),
        Column("received", "received_bytes"): lambda row: figure(
            row[2].received_per_call, lambda each: readable_bytes(round(each))
        ),
    }
    ranks = rows[0][2].ranks
    title = f"each call over {ranks:,} ranks, by its arithmetic; per call: collectives, and what a rank receives"
    yield table_of("ranks", rows, columns, facts={**facts, "ranks": ranks}, title=title)
    for way, failed in dict.fromkeys((way, each.failed) for _, way, each in rows if each.failed):
        yield Words(f"{way}: not over {ranks:,} ranks: {failed}.", "yellow")
    yield Words(RANKS, "dim")


def _timed(paid: BreakEven) -> Table:
    columns: Columns[BreakEven] = {
        Column("timed on", "device"): lambda row: row.device,
        Column("model", left=True): lambda row: row.model,
        Column("recording", "recording_ms"): lambda row: figure(row.capture, "{:.2f}"),
        Column("forward", "forward_ms"): lambda row: figure(row.forward, "{:.2f}"),
        Column("replay", "replay_ms"): lambda row: figure(row.replay, "{:.2f}"),
        Column("replay / forward", "ratio"): lambda row: figure(row.ratio.ratio, _with_interval(row)),
        Column("pays after", "pays_after"): lambda row: figure(row.pays_after, "{:.1f} replays"),
    }
    title = "one picture of 36x36 patches, ms: what capturing its graph adds to a call, a forward, and a replay"
    if paid.pays_after is None:
        title += ". It never pays here: no replay is seen to be faster than a forward"
    return table_of("break-even", [paid], columns, title=title)


def _with_interval(paid: BreakEven) -> str:
    return f"{{:.2f}} [{paid.ratio.low:.2f}, {paid.ratio.high:.2f}]"


def _memory(memory: Mapping[str, int], each: int) -> Table:
    held = {**memory, "in all": sum(memory.values())}
    columns: Columns[tuple[str, int]] = {
        Column("what", left=True): lambda row: row[0],
        Column("memory", "bytes"): lambda row: figure(row[1], readable_bytes),
        Column("KV-cache tokens lost", "kv_tokens"): lambda row: -(-row[1] // each),
    }
    title = f"memory that the language model does not get; a token of its KV cache is {readable_bytes(each)}"
    return table_of("memory", held.items(), columns, title=title)
