"""Which towers take a plan that is handed in, and in which rows beside theirs that is measured."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from vlbench.errors import UsageError
from vlbench.implementations.adapted import takes_host_lengths
from vlbench.implementations.optimized.attention import attention
from vlbench.implementations.optimized.segments import longest_segment, segment_bounds
from vlbench.implementations.peers import PEERS
from vlbench.record.schema import REFERENCE
from vlbench.record.timing import PlanMade, handed_in
from vlbench.towers.from_folder import tower_in_folder
from vlbench.towers.resolve import ALIASES, config_of, find_factory, flags_of, is_foreign
from vlbench.towers.tower import Tower

R = TypeVar("R", bound=Any)
"""A row: a dataclass with `name` and `plan`."""
BOTH: tuple[PlanMade, ...] = ("device", "host")


def beside_handed_in(
    rows: Iterable[R],
    places: Callable[[R], Sequence[PlanMade]],
    changes: Callable[[R], Mapping[str, Any]] = lambda row: {},
) -> list[R]:
    """Each row, and after it those in which the plan of its tower is handed in. Raises UsageError where none takes one.

    `places` says where the plan of a row's tower can be made, `changes` what else is different in the rows that are
    added.
    """
    made = [
        [row, *(replace(row, name=handed_in(row.name, plan), plan=plan, **changes(row)) for plan in places(row))]
        for row in rows
    ]
    if all(len(each) == 1 for each in made):
        names = ", ".join(row.name for row, *_ in made)
        raise UsageError(
            f"--plan: handing a plan in is not offered by {names}; name a tower of ours with flags (--with best), "
            "transformers' (hf:MODEL), or a vlbench.Tower with `prepare`"
        )
    return [row for each in made for row in each]


def places_of_flags(flags: Iterable[str] | None) -> tuple[PlanMade, ...]:
    """Of our tower with `flags`, None for the reference tower: lengths that are on the host anyway make no row."""
    if flags is None:
        return ()
    chosen = set(flags)
    asks = attention.way_of(chosen).reads_bounds and longest_segment.way_of(chosen) is longest_segment.naive_way
    return BOTH if segment_bounds.way_of(chosen).on_device or asks else ("device",)


def places_of(tower: str, device: str) -> tuple[PlanMade, ...]:
    """Of the tower that `resolve_tower` makes of a text, without calling anyone's factory."""
    if is_foreign(tower):
        found = find_factory(tower)
        if not isinstance(found, Tower) or found.prepare is None:
            return ()
        return BOTH if takes_host_lengths(found.prepare) else BOTH[:1]
    if tower_in_folder(tower):
        return ()  # another revision may not take one
    head, colon, _ = tower.partition(":")
    if colon:
        found_peer = PEERS.get(ALIASES.get(head, head))
        return BOTH if found_peer and found_peer.takes_plan else ()
    model, _, flags = tower.partition("+")
    config = config_of(model)
    if flags in ("", REFERENCE) or config is None:
        return ()
    return places_of_flags(flags_of(flags, config, device)[0].names)
