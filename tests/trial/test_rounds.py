from __future__ import annotations

import gc
import math
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.trial.plans import MIN_ROUNDS
from vlbench.implementations.output import Parts, VisionOutput, unpack
from vlbench.record.schema import State
from vlbench.trial.clock import Call, Reading
from vlbench.trial.job import Round
from vlbench.trial.rounds import (
    LOOK_EVERY,
    WARM_UP_CALLS,
    WARM_UP_SECONDS,
    Entrant,
    Rounds,
    instances_for,
    warm_up,
    without_collector,
)
from vlbench.trial.store import poison
from vlbench.trial.subject import Cache, Inputs, Subject

NAMES = ("baseline", "a", "b", "c")
INPUTS = [torch.full((3,), float(number)) for number in range(3)]


def right(entry: Tensor) -> Tensor:
    return entry * 2 + 1


@dataclass
class Race:
    """Entrants by name, and a clock on which time stands still but for their calls."""

    runs: dict[str, Callable[[Tensor], Tensor | VisionOutput]] = field(
        default_factory=lambda: dict.fromkeys(NAMES, right)
    )
    caches: dict[str, Cache] = field(default_factory=dict)
    allowed: float = 0.0
    seconds: dict[str, list[float]] = field(default_factory=dict)
    """What each call takes, the last one again and again; 1 or more where nothing is said."""
    hidden: tuple[str, ...] = ()
    states: tuple[State, ...] = ("warm",)
    seed: int = 0
    instances: tuple[str, ...] = ()
    """Which of the runs are further instances of the first."""
    churning: Callable[[int], Tensor] | None = None
    called: list[tuple[str, Tensor]] = field(default_factory=list)
    marked: list[str] = field(default_factory=list)
    now: float = 0.0

    def clock(self, call: Call) -> Reading:
        output = call()
        name = self.called[-1][0]
        mine = self.seconds.get(name) or [float(len(self.called) % 7 + 1)]
        took = mine.pop(0) if len(mine) > 1 else mine[0]
        self.now += took
        return Reading(output, took, hidden=name in self.hidden)

    def made(self) -> Rounds:
        def subject(name: str) -> Subject:
            def run(entry: Tensor) -> Parts:
                self.called.append((name, entry))
                return unpack(self.runs[name](entry))

            return Subject(run, (self.caches[name],) if name in self.caches else ())

        entrants = [Entrant(name, subject(name), defaultdict(lambda: self.allowed)) for name in self.runs]
        same = [each for each in entrants if each.name in self.instances]
        clocks, inputs = dict.fromkeys(self.states, self.clock), Inputs(INPUTS, self.churning)
        others = [each for each in entrants if each not in same]
        return Rounds(others, inputs, clocks, instances=same, seed=self.seed, mark=self.marked.append)

    def run(self, seconds: float = 0.0) -> tuple[list[Round], dict[str, str]]:
        rounds = self.made()
        return list(rounds.run(seconds, now=lambda: self.now)), rounds.struck

    def orders(self) -> list[tuple[str, ...]]:
        size = len(self.runs)
        names = [name for name, _ in self.called]
        return [tuple(names[start : start + size]) for start in range(0, len(names), size)]


def test_every_variant_is_called_once_a_round_and_named_before_it_is_called() -> None:
    race = Race()
    rounds, struck = race.run(200)
    assert len(rounds) > 10
    assert [sorted(order) for order in race.orders()] == [sorted(NAMES)] * len(rounds)
    assert race.marked == [name for name, _ in race.called]
    assert [one.number for one in rounds] == [*range(len(rounds))]
    assert struck == {}


def test_the_order_is_drawn_afresh_and_the_reference_tower_takes_part() -> None:
    race = Race()
    race.run(1000)
    assert len(set(race.orders())) > 10
    assert {order.index("baseline") for order in race.orders()} == {0, 1, 2, 3}


def test_the_order_follows_from_the_seed() -> None:
    def orders(seed: int) -> list[tuple[str, ...]]:
        race = Race(seed=seed)
        race.run(200)
        return race.orders()

    assert orders(1) == orders(1)
    assert orders(1) != orders(2)


def test_a_round_holds_each_variants_own_time_in_the_order_of_the_entrants() -> None:
    times = {name: [float(10 * place + number) for number in range(1, 10)] for place, name in enumerate(NAMES)}
    rounds, _ = Race(seconds={name: list(given) for name, given in times.items()}).run()
    assert [tuple(one.seconds) for one in rounds] == [NAMES] * MIN_ROUNDS
    for name, given in times.items():
        assert [one.seconds[name] for one in rounds] == given[:MIN_ROUNDS]


def test_all_variants_of_a_round_get_the_same_input_and_inputs_take_turns() -> None:
    race = Race()
    race.run()
    entries = [entry for _, entry in race.called]
    for number in range(MIN_ROUNDS):
        of_round = entries[number * len(NAMES) : (number + 1) * len(NAMES)]
        assert all(torch.equal(entry, INPUTS[number % len(INPUTS)]) for entry in of_round)


def test_every_call_gets_the_input_in_memory_of_its_own() -> None:
    race = Race(runs={"baseline": right, "a": lambda entry: right(entry.clone()) + entry.zero_()})
    assert race.run()[1] == {}
    assert len({entry.data_ptr() for entry in (*INPUTS, *(entry for _, entry in race.called))}) == len(INPUTS) + len(
        race.called
    )


INSTANCES = ("baseline#2", "baseline#3")


def test_instances_of_the_reference_are_called_once_a_round_as_their_rivals_are_and_their_median_counts() -> None:
    times = {name: [1.0] for name in NAMES} | {"baseline": [2.0], "baseline#2": [5.0], "baseline#3": [3.0]}
    race = Race(runs=dict.fromkeys((*NAMES, *INSTANCES), right), instances=INSTANCES, seconds=times)
    rounds, struck = race.run()
    assert struck == {}
    assert [sorted(order) for order in race.orders()] == [sorted((*NAMES, *INSTANCES))] * MIN_ROUNDS
    assert len(set(race.orders())) > 1
    assert [one.seconds for one in rounds] == [{"baseline": 3.0, "a": 1.0, "b": 1.0, "c": 1.0}] * MIN_ROUNDS
    assert [one.instances for one in rounds] == [{"baseline": 2.0, "baseline#2": 5.0, "baseline#3": 3.0}] * MIN_ROUNDS
    assert [name for one in rounds for name in one.order] == [name for name, _ in race.called]
    assert set(race.marked) == set(NAMES)  # what ends the process in an instance ended it in the reference tower


@pytest.mark.parametrize("output", [torch.zeros(3), (torch.ones(3), torch.ones(3))])
def test_an_instance_with_another_output_ends_the_trial(output: Any) -> None:
    runs: dict[str, Any] = {**dict.fromkeys(NAMES, right), "baseline#2": lambda entry: output}
    race = Race(runs=runs, instances=("baseline#2",))
    with pytest.raises(RuntimeError, match=r"the reference tower failed in a timed round: .*output"):
        race.run()
    assert race.marked[-1] == "baseline"


def test_how_many_instances_share_a_round() -> None:
    assert [instances_for(variants) for variants in (1, 2, 5, 17, 26, 51)] == [1, 3, 3, 5, 5, 7]


@pytest.mark.parametrize("seconds", [0.0, 1e-9, 1.0])
def test_there_are_enough_rounds_for_an_interval_however_short_the_budget(seconds: float) -> None:
    rounds, _ = Race().run(seconds)
    assert len(rounds) == MIN_ROUNDS


def test_rounds_end_early_when_every_interval_is_narrow() -> None:
    steady = {name: [1.0] for name in NAMES}
    rounds, _ = Race(seconds=steady).run(1e6)
    assert len(rounds) == LOOK_EVERY
    noisy = steady | {"c": [1.0, 1.5] * 100}
    rounds, _ = Race(seconds=noisy).run(4 * 5 * LOOK_EVERY)
    assert len(rounds) > 2 * LOOK_EVERY


def test_rounds_are_handed_out_as_they_come() -> None:
    race = Race()
    next(race.made().run(1e9))
    assert len(race.called) == len(NAMES)


@dataclass
class CountingCache:
    hits: int = 0
    misses: int = 0
    full: bool = False

    def clear(self) -> None:
        self.full = False

    def look_up(self, entry: Tensor) -> Tensor:
        self.hits, self.misses = self.hits + self.full, self.misses + (not self.full)
        self.full = True
        return right(entry)


def test_cold_rounds_empty_the_caches_first_and_look_ups_are_counted_by_round() -> None:
    cache = CountingCache()
    race = Race(runs={"baseline": right, "a": cache.look_up}, caches={"a": cache}, states=("warm", "cold"))
    rounds, _ = race.run()
    assert len(rounds) == 2 * MIN_ROUNDS
    looked_up = {state: [one.looked_up for one in rounds if one.state == state] for state in ("warm", "cold")}
    assert looked_up["cold"] == [{"a": (0, 1)}] * MIN_ROUNDS
    assert looked_up["warm"] == [{"a": (0, 1)}, *[{"a": (1, 0)}] * (MIN_ROUNDS - 1)]


def test_churning_rounds_have_inputs_of_their_own() -> None:
    race = Race(states=("churn",), churning=lambda number: torch.full((2,), float(100 + number)))
    race.run()
    assert [float(entry[0]) for _, entry in race.called[:: len(NAMES)]] == [100.0 + n for n in range(MIN_ROUNDS)]


# Fast but wrong: caught in the timed rounds.


def caught(run: Callable[[Tensor], Tensor], **fields: object) -> str:
    """Why "a" was struck; nobody else is, and nobody is called again after being struck."""
    race = Race(runs={"baseline": right, "a": run, "b": right}, **fields)  # type: ignore[arg-type]
    rounds, struck = race.run()
    assert list(struck) == ["a"]
    assert all({"baseline", "b"} <= one.seconds.keys() for one in rounds)
    return struck["a"]


def test_an_output_that_was_right_for_other_bytes_is_caught() -> None:
    kept: list[Tensor] = []

    def remembers(entry: Tensor) -> Tensor:
        kept.append(right(entry))
        return kept[0].clone()

    assert "wrong: replayed, late, or a stale cache" in caught(remembers)
    kept.clear()
    assert "wrong" in caught(remembers, allowed=1e-5)


def test_an_output_that_is_handed_out_again_unwritten_is_caught() -> None:
    by_input: dict[tuple[float, ...], Tensor] = {}
    assert "wrong" in caught(lambda entry: by_input.setdefault(tuple(entry.flatten().tolist()), right(entry)))


def test_a_buffer_that_is_written_anew_is_right() -> None:
    buffer = torch.empty(3)
    race = Race(runs={"baseline": right, "a": lambda entry: buffer.copy_(right(entry))})
    assert race.run()[1] == {}


@pytest.mark.parametrize(("off", "wrong"), [(0.9e-3, False), (1.1e-3, True), (float("nan"), True)])
def test_an_output_may_be_off_by_what_is_allowed(off: float, wrong: bool) -> None:
    race = Race(runs={"baseline": right, "a": lambda entry: right(entry) * (1 + off)}, allowed=1e-3)
    assert ("a" in race.run()[1]) is wrong


def test_another_shape_is_caught_although_it_broadcasts() -> None:
    assert "wrong" in caught(lambda entry: right(entry)[None], allowed=1e-3)


def test_a_tensor_that_puts_off_its_work_is_caught() -> None:
    assert caught(lambda entry: nn.Parameter(right(entry))) == "the output of a timed round is a Parameter"


def two(small: float) -> Callable[[Tensor], VisionOutput]:
    """A large part and a small one."""
    return lambda entry: VisionOutput(right(entry), {"small": right(entry) * small})


def test_a_large_part_does_not_hide_a_small_one() -> None:
    race = Race(runs={"baseline": two(1e-6), "a": two(1.1e-6), "b": two(1e-6)}, allowed=1e-3)
    _, struck = race.run()
    assert struck == {"a": "part 'small' of the output of a timed round is wrong: replayed, late, or a stale cache"}


def test_each_part_is_poisoned() -> None:
    buffers: list[Tensor] = []

    def hands_out_again(entry: Tensor) -> VisionOutput:
        if not buffers:
            buffers.append(right(entry) * 1e-6)
        return VisionOutput(right(entry), {"small": buffers[0]})

    race = Race(runs={"baseline": two(1e-6), "a": hands_out_again}, allowed=1e-3)
    assert "part 'small'" in race.run()[1]["a"]


def test_poison_changes_every_dtype() -> None:
    for dtype in (torch.float16, torch.complex64, torch.int64, torch.uint8, torch.bool):
        part = torch.ones(3, dtype=dtype)
        poison({"part": part})
        assert not (part == 1).any()


@pytest.mark.parametrize(
    ("returned", "reason"),
    [
        ((torch.ones(3), torch.ones(3)), "the output of a timed round is a tuple"),
        (VisionOutput(torch.ones(3), {"small": nn.Parameter(torch.ones(3))}), "is a Parameter"),
    ],
)
def test_what_is_no_output_is_struck(returned: Any, reason: str) -> None:
    assert reason in caught(lambda entry: returned)


def test_what_raises_in_a_timed_round_is_struck() -> None:
    def fails(entry: Tensor) -> Tensor:
        raise MemoryError

    assert caught(fails) == "raised MemoryError in a timed round"


def test_work_that_the_events_do_not_see_is_caught() -> None:
    assert "it works elsewhere, or later" in caught(right, hidden=("a",))


def test_whoever_was_struck_is_not_called_again() -> None:
    def fails(entry: Tensor) -> Tensor:
        raise MemoryError

    race = Race(runs={"baseline": right, "a": fails})
    race.run()
    assert [name for name, _ in race.called].count("a") == 1


def test_a_reference_tower_that_fails_in_a_timed_round_ends_the_trial() -> None:
    def fails(entry: Tensor) -> Tensor:
        raise MemoryError

    with pytest.raises(RuntimeError, match="the reference tower failed in a timed round: raised MemoryError"):
        Race(runs={"baseline": fails, "a": right}).run()


def test_a_reference_tower_that_fails_is_the_last_that_was_named() -> None:
    def fails(entry: Tensor) -> Tensor:
        raise MemoryError

    last = set()
    for seed in range(10):
        race = Race(runs={"baseline": fails, "a": right}, seed=seed)
        with pytest.raises(RuntimeError):
            race.run()
        last.add(race.marked[-1])
    assert last == {"baseline"}


# Warm-up and the collector.


def calls_until_warm(times: Callable[[int], float], enough: float = math.inf) -> int:
    counter = count()

    def clock(call: Call) -> Reading:
        return Reading(call(), times(next(counter)))

    warm_up(Subject(lambda entry: unpack(right(entry))), INPUTS[0], clock, enough)
    return next(counter)


def test_warm_up_ends_when_the_times_have_settled() -> None:
    assert calls_until_warm(lambda number: 1.0) == 6
    assert 6 < calls_until_warm(lambda number: [9.0, 5.0, 3.0][number] if number < 3 else 1.0) < WARM_UP_CALLS


def test_warm_up_gives_up_on_times_that_never_settle() -> None:
    assert calls_until_warm(lambda number: 0.5**number) == WARM_UP_CALLS


def test_warm_up_does_not_wait_for_a_machine_that_slows_down() -> None:
    assert calls_until_warm(lambda number: 2.0**number) == 6


@pytest.mark.parametrize(("seconds", "calls"), [(0.1, 6), (0.3, 4), (0.6, 2), (1.2, 1), (30.0, 1)])
def test_slow_calls_are_warm_after_a_second(seconds: float, calls: int) -> None:
    assert calls_until_warm(lambda number: seconds, WARM_UP_SECONDS) == calls


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("fails", [True, False])
def test_the_garbage_collector_is_left_as_it_was(before: bool, fails: bool) -> None:
    enabled = gc.isenabled()
    try:
        gc.enable() if before else gc.disable()
        try:
            with without_collector():
                assert not gc.isenabled()
                if fails:
                    raise KeyError
        except KeyError:
            assert fails
        assert gc.isenabled() is before
    finally:
        gc.enable() if enabled else gc.disable()
