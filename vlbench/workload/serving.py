"""Requests of a production mix over an encoder that remembers what it encoded: a simulation, in which nothing is timed.

Traces say how many images a request has and how large they are. None says which images come again: that is what `turns`
and `conversations` are for, and without them nothing is ever found in the cache.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import count, islice
from random import Random

from vlbench.errors import UsageError
from vlbench.implementations.config import VisionConfig
from vlbench.implementations.packing import MERGE_UNIT, Budgets, Grid, Pack, pack
from vlbench.record.base import share_of
from vlbench.traffic.trace import Trace
from vlbench.untrusted.limits import Limit
from vlbench.workload.mix import requests_of
from vlbench.workload.ranks import Ranked
from vlbench.workload.scenario import Mix

REMEMBERED = 4096
"""Layouts of calls whose packing is remembered, since many come again, and packing takes most of the time of a call."""
HALF = 2
"""Bytes of a number in bfloat16."""
LANGUAGE_MODELS = {
    "qwen2-vl-2b": (28, 2),
    "qwen2-vl-7b": (28, 4),
    "qwen2-vl-72b": (80, 8),
    "qwen2.5-vl-3b": (36, 2),
    "qwen2.5-vl-7b": (28, 4),
    "qwen2.5-vl-32b": (64, 8),
    "qwen2.5-vl-72b": (80, 8),
    "qwen3-vl-2b": (28, 8),
    "qwen3-vl-4b": (36, 8),
    "qwen3-vl-8b": (36, 8),
    "qwen3-vl-32b": (64, 8),
    "qwen3-vl-30b-a3b": (48, 4),
    "qwen3-vl-235b-a22b": (94, 4),
}
"""Layers and key-value heads of 128, by num_hidden_layers and num_key_value_heads of the checkpoints' config.json."""


@dataclass(frozen=True)
class Encoder:
    """What serves the requests."""

    cache_bytes: int
    token_bytes: int
    """Of the embedding of one token."""
    budgets: Budgets = field(default_factory=Budgets)
    graphs: int = 64
    """Graphs for exact layouts that are kept, least recently used out first."""


@dataclass(frozen=True)
class Recorded:
    """Calls that were recorded, in the place of a mix: each is a request, and a step takes one of them as it was."""

    trace: Trace
    requests: int = 1
    token_budget: int = Limit.PATCHES.most


@dataclass(frozen=True)
class Traffic:
    """What comes."""

    mix: Mix | Recorded
    requests: int | None
    """How many at most; None: all that were recorded."""
    turns: float = 1.0
    """How often a conversation sends its images, on average: each turn all of them."""
    conversations: int = 64
    """Between which turns alternate."""
    seed: int = 0


@dataclass
class Served:
    """What came of it."""

    requests: int = 0
    images: int = 0
    found: int = 0
    """Images whose embeddings were there."""
    calls: int = 0
    """Of the encoder, each with what one step admits."""
    patches: int = 0
    cache_bytes: int = 0
    """The most that the cache held."""
    forwards: int = 0
    """With graphs of a few sizes, into which calls are packed."""
    in_graphs: int = 0
    """Patches of images in these graphs."""
    padding: int = 0
    """Patches that these graphs compute beside them."""
    without: int = 0
    """Those that no graph had room for."""
    sizes: set[int] = field(default_factory=set)
    captured: int = 0
    """Of the calls, those whose layout had no graph, and got one."""
    ranked: Mapping[str, Ranked] = field(default_factory=dict)
    """By way, where calls were also shared out over ranks."""

    @property
    def hit_rate(self) -> float | None:
        """Share of images whose embeddings were there."""
        return share_of(self.found, self.images - self.found)

    @property
    def padding_share(self) -> float | None:
        """Of all patches that graphs of a few sizes compute; what runs without one has no part in it."""
        return share_of(self.padding, self.in_graphs)

    @property
    def exact_hit_rate(self) -> float | None:
        """Share of calls whose exact layout had a graph."""
        return share_of(self.calls - self.captured, self.captured)

    @property
    def replays_per_capture(self) -> float | None:
        """Calls on a layout after its first, which captures it: that may cost so many times what a replay saves."""
        return (self.calls - self.captured) / self.captured if self.captured else None

    @property
    def replays_per_size(self) -> float | None:
        """The same for graphs of a few sizes, whose forwards are padded."""
        return (self.forwards - self.without) / len(self.sizes) - 1 if self.sizes else None


class Lru:
    """What was used last, as long as its sizes are at most `most` in all."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.held = 0
        self._sizes: OrderedDict[Hashable, int] = OrderedDict()

    def found(self, key: Hashable) -> bool:
        """Is it there? Then it was used just now."""
        if key in self._sizes:
            self._sizes.move_to_end(key)
            return True
        return False

    def keep(self, key: Hashable, size: int) -> None:
        """Keep it, unless it is larger than all there is room for."""
        if size <= self.most:
            self._sizes[key] = size
            self.held += size
            while self.held > self.most:
                self.held -= self._sizes.popitem(last=False)[1]


def serve(
    traffic: Traffic,
    encoder: Encoder,
    tell: Callable[[int], None] = lambda requests: None,
    called: Callable[[list[Grid]], None] = lambda grids: None,
) -> Served:
    """Simulate all requests, as many at a time as the mix has waiting; `tell` is told how many are done.

    `called` is told the grids of each call of the encoder. Raises UsageError for a mix that is refused.
    """
    served = Served()
    packed = lru_cache(REMEMBERED)(lambda call: pack(call, encoder.budgets))
    embeddings, layouts = Lru(encoder.cache_bytes), Lru(encoder.graphs)
    coming = islice(conversing(traffic), traffic.requests)
    while step := list(islice(coming, traffic.mix.requests)):
        served.requests += len(step)
        tell(served.requests)
        new: dict[int, Grid] = {}
        for image, grid in (each for request in step for each in request):
            served.images += 1
            if image in new or embeddings.found(image):
                served.found += 1
            else:
                new[image] = grid
        for call in admitted(list(new.values()), traffic.mix.token_budget):
            _encode(tuple(call), served, layouts, packed)
            called(call)
        for image, (t, h, w) in new.items():
            embeddings.keep(image, t * h * w // MERGE_UNIT * encoder.token_bytes)
        served.cache_bytes = max(served.cache_bytes, embeddings.held)
    return served


def conversing(traffic: Traffic) -> Iterator[list[tuple[int, Grid]]]:
    """Requests, of a mix without end: images by number, and their grids.

    A conversation goes on or gives way to a new one.
    """
    numbers, random = count(), Random(f"turns/{traffic.seed}")
    mix = traffic.mix
    fresh = _drawn(mix, traffic.seed) if isinstance(mix, Mix) else (call.grids for call in mix.trace)
    going_on: list[list[tuple[int, Grid]]] = []
    for grids in fresh:
        request = [(next(numbers), grid) for grid in grids]
        if len(going_on) < traffic.conversations:
            going_on.append(request)
        else:
            place = random.randrange(len(going_on))
            while random.random() < 1 - 1 / traffic.turns:
                yield going_on[place]
                place = random.randrange(len(going_on))
            going_on[place] = request
        yield request


def _drawn(mix: Mix, seed: int) -> Iterator[Sequence[Grid]]:
    for images in requests_of(mix, seed):
        grids = list[Grid]()
        for down, across in images:
            Limit.ITEMS.check(len(grids) + 1, f"{mix.distribution}: a request of it", "lower image_count")
            grids.append((1, 2 * down, 2 * across))
        yield grids


def admitted(grids: list[Grid], tokens: int) -> Iterator[list[Grid]]:
    """Calls of the encoder, in order: what does not fit waits for the next, and the first image always fits."""
    call: list[Grid] = []
    held = 0
    for t, h, w in grids:
        if call and held + t * h * w // MERGE_UNIT > tokens:
            yield call
            call, held = [], 0
        call.append((t, h, w))
        held += t * h * w // MERGE_UNIT
    if call:
        yield call


def _encode(call: tuple[Grid, ...], served: Served, layouts: Lru, packed: Callable[..., list[Pack]]) -> None:
    served.calls += 1
    if not layouts.found(call):
        served.captured += 1
        layouts.keep(call, 1)
    for each in packed(call):
        served.forwards += 1
        served.padding += each.padding
        served.patches += each.patches
        if each.budget is None:
            served.without += 1
        else:
            served.sizes.add(each.budget)
            served.in_graphs += each.patches


def kv_bytes_of(model: str) -> int:
    """Bytes of one token in the KV cache of a model in half precision. Raises UsageError where that is not known."""
    if model not in LANGUAGE_MODELS:
        raise UsageError(f"--memory-at: how large the KV cache of {model} is, is not known here; give --kv-bytes")
    layers, heads = LANGUAGE_MODELS[model]
    return layers * heads * 128 * 2 * HALF


def embedding_bytes(config: VisionConfig) -> int:
    """Bytes of what the tower hands out for one token, in half precision."""
    return config.out_hidden_size * (1 + len(config.deepstack_blocks)) * HALF


def graph_bytes(config: VisionConfig, patches: int) -> int:
    """Bytes of inputs and outputs of a graph with room for so many patches: hidden states, cos and sin, tokens.

    What a CUDA graph holds inside comes on top.
    """
    inputs = patches * (config.hidden_size * HALF + config.head_dim * 4)
    return inputs + patches // config.merge_unit * embedding_bytes(config)
