"""A deep tower counted by its layers: towers of two and three layers tell what one more layer of each kind asks for.

Kinds of layers are those that attend over windows or over the whole frame, with deepstack or without. That further
layers ask for the same is shown event by event, in the two or three towers that were counted; where it does not show,
nothing is concluded, and the tower has to be counted in full.
"""

import re
from collections import Counter as Multiset
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from vlbench.implementations.config import MODELS, VisionConfig
from vlbench.record.counts import Counts, Tally
from vlbench.record.schema import NO_FLAGS, REFERENCE
from vlbench.record.sequence import Event
from vlbench.towers.resolve import config_of, flags_of

LayerKind = tuple[bool, bool]
"""Does it attend over the whole frame, and are its tokens handed out?"""
Events = tuple[Event, ...]
Chunk = tuple[Hashable, Events]
"""Some events, and what is the same for equal ones."""
_BLOCK = re.compile(r"block\[(\d*)\]")


@dataclass(frozen=True)
class Reduction:
    """Shallow towers that a deep one is counted by."""

    kinds: tuple[LayerKind, ...]
    """Of the layers of the deep one, in order."""
    towers: tuple[VisionConfig, ...]
    """One layer of each kind, or two where all are alike; then the same with one more of each kind in turn. Kinds come
    in the order in which the deep one has them first, as the first layers build plans that later ones use. All end in a
    layer of the kind in which the deep one ends, as what comes after depends on that."""

    @property
    def more(self) -> tuple[int, ...]:
        """How many more layers of each kind the deep one has than the first of the towers."""
        base = Multiset(kinds_of(self.towers[0]))
        return tuple(self.kinds.count(kind) - base[kind] for kind in base)

    @contextmanager
    def known(self) -> Iterator[None]:
        """Within this block the towers can be named as our models are."""
        MODELS.update({each.name: each for each in self.towers})
        try:
            yield
        finally:
            for each in self.towers:
                del MODELS[each.name]


def kinds_of(config: VisionConfig) -> list[LayerKind]:
    """The kind of each layer."""
    return [(config.attends_fully(block), block in config.deepstack_blocks) for block in range(config.depth)]


def reduction_of(config: VisionConfig) -> Reduction | None:
    """None for more than two kinds of layers, and for a tower that is no deeper than what it would be counted by."""
    kinds = kinds_of(config)
    match list(dict.fromkeys(kinds)):
        case [only]:
            chosen = [[only] * 2, [only] * 3]
        case [one, two]:
            end = [one] if kinds[-1] == one else []
            chosen = [[one, two, *end], [one, one, two, *end], [one, two, two, *end]]
        case _:
            return None
    if sum(map(len, chosen)) >= config.depth:
        return None
    return Reduction(tuple(kinds), tuple(_of_kinds(config, each) for each in chosen))


def _of_kinds(config: VisionConfig, kinds: Sequence[LayerKind]) -> VisionConfig:
    letters = "".join("wf"[full] + "d" * deep for full, deep in kinds)
    windows = config.window_size is not None
    return replace(
        config,
        name=f"{config.name}-{letters}",
        depth=len(kinds),
        fullatt_block_indexes=tuple(block for block, (full, _) in enumerate(kinds) if full and windows),
        deepstack_blocks=tuple(block for block, (_, deep) in enumerate(kinds) if deep),
    )


def reduced_texts(text: str) -> tuple[Reduction, list[str]] | None:
    """How the tower that `text` names is counted by its layers, and the names of those towers; None where it is not.

    Presets are those of the deep one. Raises UsageError for flags that mean nothing.
    """
    config = config_of(text)
    if config is None or (found := reduction_of(config)) is None:
        return None
    head, colon, rest = text.rpartition(":")
    flags = rest.partition("+")[2]
    if flags not in ("", REFERENCE):
        flags = "+".join(sorted(flags_of(flags, config, "cuda")[0].names)) or NO_FLAGS
    behind = f"+{flags}" if flags else ""
    return found, [f"{head}{colon}{each.name}{behind}" for each in found.towers]


# From the shallow towers to the deep one ------------------------------------------------------------------------------


def whole_tally(reduction: Reduction, counts: Sequence[Counts]) -> Tally:
    """The counters of the deep tower, from those of the shallow ones."""
    totals = [each.total.model_dump() for each in counts]
    return Tally(**{name: _whole(reduction, [each[name] for each in totals]) for name in totals[0]})


def whole_peak(reduction: Reduction, counts: Sequence[Counts]) -> int:
    """Its most bytes alive at once, weights and inputs included."""
    return _whole(reduction, [each.peak_live_bytes for each in counts])


def _whole(reduction: Reduction, figures: Sequence[int]) -> int:
    base, *others = figures
    return base + sum(more * (each - base) for more, each in zip(reduction.more, others, strict=True))


@dataclass(frozen=True)
class Pieces:
    """What a forward is made of, with the numbers of blocks taken out."""

    before: Events
    first: dict[LayerKind, Events]
    """By kind: the first block of it."""
    later: dict[LayerKind, Events]
    between: dict[LayerKind, Events]
    """What follows a block where another one comes."""
    after: Events
    """What follows the last."""

    def chunks(self, kinds: Sequence[LayerKind]) -> Iterator[Chunk]:
        """What a tower with layers of these `kinds` is made of, in order: what comes before, and each layer."""
        yield "before", self.before
        seen: set[LayerKind] = set()
        for number, kind in enumerate(kinds):
            is_first, is_last = kind not in seen, number == len(kinds) - 1
            block = (self.first if is_first else self.later)[kind]
            yield (kind, is_first, is_last), (*block, *(self.after if is_last else self.between[kind]))
            seen.add(kind)

    def whole(self, kinds: Sequence[LayerKind]) -> Events:
        """The events of that tower."""
        chunks = enumerate(self.chunks(kinds), -1)
        return tuple(_numbered(each, number) for number, (_, events) in chunks for each in events)


def pieces_of(reduction: Reduction, cold: Sequence[Events], warm: Sequence[Events]) -> tuple[Pieces, Pieces] | None:
    """The pieces of the first and the second forward; None where these towers do not show that further layers ask for
    the same.

    They show it where what comes before, the blocks of a kind, and what comes after are alike in all of them. In the
    first forward the first block of a kind may ask for more, and the second has to be as one that is warm, or as the
    first but for the plans that that has built.
    """
    depths = [each.depth for each in reduction.towers]
    cut = [[_cut(events, depth) for events, depth in zip(some, depths, strict=True)] for some in (cold, warm)]
    first, second = (_pieces(reduction, [each for each in some if each is not None]) for some in cut)
    if first is None or second is None:
        return None
    for kind, block in second.first.items():
        if second.later[kind] != block or first.later[kind] not in (block, _without_plans(first.first[kind])):
            return None
    return first, second


_Cut = tuple[Events, list[Events], list[Events]]
"""What comes before, the blocks, and what follows each."""


def _cut(events: Events, depth: int) -> _Cut | None:
    """None where the events of each block do not follow those of the one before."""
    spans: dict[int, list[int]] = {}
    for place, event in enumerate(events):
        if found := _BLOCK.search(event.stage):
            spans.setdefault(int(found[1]), [place, place])[1] = place
    bounds = [bound for first, last in spans.values() for bound in (first, last + 1)]
    if list(spans) != list(range(depth)) or bounds != sorted(bounds):
        return None
    plain = tuple(_numbered(event, None) for event in events)
    inside = [plain[first:stop] for first, stop in zip(bounds[::2], bounds[1::2], strict=True)]
    after = [plain[stop:first] for stop, first in zip(bounds[1::2], [*bounds[2::2], None], strict=True)]
    return plain[: bounds[0]], inside, after


def _pieces(reduction: Reduction, cuts: Sequence[_Cut]) -> Pieces | None:
    if len(cuts) < len(reduction.towers):
        return None
    first: dict[LayerKind, Events] = {}
    later: dict[LayerKind, Events] = {}
    between: dict[LayerKind, Events] = {}
    before, tail = cuts[0][0], cuts[0][2][-1]
    for tower, (ahead, blocks, after) in zip(reduction.towers, cuts, strict=True):
        seen = set[LayerKind]()
        for kind, block, follows in zip(kinds_of(tower), blocks, [*after[:-1], None], strict=True):
            known = later if kind in seen else first
            seen.add(kind)
            if known.setdefault(kind, block) != block:
                return None
            if follows is not None and between.setdefault(kind, follows) != follows:
                return None
        if ahead != before or after[-1] != tail:
            return None
    return Pieces(before, first, later, between, tail)


def _without_plans(events: Events) -> Events:
    return tuple(replace(each, new_plan=False) if each.new_plan else each for each in events)


def _numbered(event: Event, number: int | None) -> Event:
    if "block[" not in event.stage:
        return event
    return replace(event, stage=_BLOCK.sub(f"block[{'' if number is None else number}]", event.stage))
