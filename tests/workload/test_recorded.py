"""Recorded calls as a scenario, and what they come to in a simulation: as by hand, and as the same mix gives."""

from __future__ import annotations

import resource
from collections import OrderedDict
from collections.abc import Iterable
from functools import cache
from itertools import count
from pathlib import Path
from random import Random

import pytest

from vlbench.errors import UsageError
from vlbench.implementations.packing import Budgets, Grid
from vlbench.implementations.preprocessing import Preprocessing
from vlbench.traffic.recorder import HEAD
from vlbench.traffic.trace import Trace
from vlbench.workload.batch import grids_only
from vlbench.workload.library import load_scenario
from vlbench.workload.recorded import REPLAYED
from vlbench.workload.serving import Encoder, Recorded, Traffic, conversing, serve

ENCODER = Encoder(cache_bytes=1 << 20, token_bytes=8, budgets=Budgets((256, 4096), most_padding=0.75), graphs=6)
SIZES = [(1, 4, 6), (1, 8, 8), (1, 16, 16), (4, 8, 8), (1, 34, 46), (1, 52, 92)]


def drawn(calls: int) -> Iterable[list[Grid]]:
    random = Random(7)
    return ([random.choice(SIZES) for _ in range(random.choice([1, 1, 1, 2, 3]))] for _ in range(calls))


def written(path: Path, calls: Iterable[list[Grid]]) -> Path:
    with path.open("wb") as file:
        file.write(HEAD)
        for number, grids in enumerate(calls):
            told = number / 100, [list(grid) for grid in grids], number % 5
            file.write(b'{"t":%g,"grids":%a,"dtype":"bfloat16","queue":%d}\n' % told)
    return path


def test_it_is_one_point_with_its_most_frequent_call(tmp_path: Path) -> None:
    usual, other = [(1, 4, 6), (8, 4, 4)], [(1, 8, 8)]
    scenario = load_scenario(str(written(tmp_path / "mine.jsonl", [usual, other, usual])))
    (point,) = scenario.points("cpu")
    assert scenario.name == point.scenario == "mine"
    assert scenario.title == "3 recorded calls, 2 of them of 1x4x6 + 8x4x4"
    assert scenario.stands_for == "bfloat16; 0.0 s; 0 to 2 waiting"
    assert grids_only(point, 0, Preprocessing()) == tuple(usual)
    assert point.calls == tuple(map(tuple, (usual, other, usual)))
    assert point.label.startswith("calls=3 ")


def test_calls_that_were_missed_are_told_as_far_as_was_read(tmp_path: Path) -> None:
    path = written(tmp_path / "mine.jsonl", [[(1, 4, 6)]] * 2)
    with path.open("a") as file:
        file.write('{"missed":1234}\n')
    scenario = load_scenario(str(path))
    title = "2 recorded calls, 2 of them of 1x4x6; 1,234 more were made there and missed"
    assert scenario.title == title
    assert scenario.points("cpu")[0].label.startswith("calls=2 missed=1234 ")


def test_other_calls_are_another_point_and_only_the_first_are_looked_at(tmp_path: Path) -> None:
    many = load_scenario(str(written(tmp_path / "a.jsonl", [[(1, 4, 6)]] * (REPLAYED + 5))))
    same = load_scenario(str(written(tmp_path / "b.jsonl", [[(1, 4, 6)]] * REPLAYED)))
    other = load_scenario(str(written(tmp_path / "c.jsonl", [[(1, 4, 8)]] * REPLAYED)))
    assert many.title.startswith("The first 1,000 recorded calls")
    labels = [each.points("cpu")[0].label for each in (many, same, other)]
    assert labels[0] == labels[1] != labels[2]


def test_a_call_that_no_tower_takes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"mine.jsonl: its most frequent call cannot be fed to a tower: "):
        load_scenario(str(written(tmp_path / "mine.jsonl", [[(1, 2, 402)]])))


@cache
def packed(grids: tuple[Grid, ...]) -> tuple[int, int, int, int]:
    """Forwards, those without a graph, patches in graphs and padding, written once more: smallest frames first."""
    most, sizes = ENCODER.budgets.most_padding, ENCODER.budgets.patches
    bins: list[list[int]] = []
    for frame in sorted(h * w for t, h, w in grids for _ in range(t)):
        if not bins or sum(bins[-1]) + frame > sizes[-1] or len(bins[-1]) == sizes[-1] // 64:
            bins.append([])
        bins[-1].append(frame)
    without = patches = padding = 0
    for held in bins:
        real = sum(held)
        room = next((size for size in sizes if real <= size and len(held) <= size // 64), 0)
        if not room or (room - real) / room > most:
            without += 1
        else:
            patches, padding = patches + real, padding + room - real
    return len(bins), without, patches, padding


def direct(requests: Iterable[list[tuple[int, Grid]]]) -> dict[str, float]:
    """What comes of it, written once more: a dict of what was used last for embeddings, and one for layouts."""
    kept, layouts = OrderedDict[int, int](), OrderedDict[tuple[Grid, ...], None]()
    images = found = calls = hits = held = 0
    packs = [0, 0, 0, 0]
    for request in requests:
        images, new = images + len(request), []
        for number, grid in request:
            if number in kept:
                found += 1
                kept.move_to_end(number)
            else:
                new.append((number, grid))
        if new:
            layout = tuple(grid for _, grid in new)
            calls, hits = calls + 1, hits + (layout in layouts)
            layouts[layout] = None
            layouts.move_to_end(layout)
            while len(layouts) > ENCODER.graphs:
                layouts.popitem(last=False)
            packs = [sum(both) for both in zip(packs, packed(layout), strict=True)]
        for number, (t, h, w) in new:
            kept[number] = t * h * w // 4 * ENCODER.token_bytes
            held += kept[number]
            while held > ENCODER.cache_bytes:
                held -= kept.popitem(last=False)[1]
    names = ("forwards", "without", "in_graphs", "padding")
    shares = {
        "hit_rate": found / images,
        "exact_hit_rate": hits / calls,
        "padding_share": packs[3] / (packs[2] + packs[3]),
    }
    return {"images": images, "found": found, "calls": calls, **dict(zip(names, packs, strict=True)), **shares}


@pytest.mark.parametrize(
    ("calls", "turns"), [(2_000, 1), (2_000, 3), pytest.param(300_000, 1, marks=pytest.mark.slow(seconds=20))]
)
def test_it_replays_with_the_hit_rates_of_a_direct_simulation(calls: int, turns: int, tmp_path: Path) -> None:
    path = written(tmp_path / "mine.jsonl", drawn(calls))
    traffic = Traffic(Recorded(Trace(path)), None, turns)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    served = serve(traffic, ENCODER)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    numbers = count()
    requests = ([(next(numbers), grid) for grid in grids] for grids in drawn(calls))
    wanted = direct(requests if turns == 1 else conversing(traffic))
    assert {name: getattr(served, name) for name in wanted} == wanted
    assert 0.05 < wanted["exact_hit_rate"] < 0.95
    assert served.requests == calls if turns == 1 else served.requests > 2 * calls
    assert (served.hit_rate == 0) == (turns == 1)
    assert grown < 10_000  # KB: the longest of these files is 21,000, and its calls would take 99,000


def test_conversations_send_their_images_again(tmp_path: Path) -> None:
    path = written(tmp_path / "mine.jsonl", drawn(400))
    served = serve(Traffic(Recorded(Trace(path)), 1000, turns=3, conversations=4), ENCODER)
    assert served.requests == 1000
    assert 0.5 < served.hit_rate < 0.8  # type: ignore[operator]


def test_an_embedding_of_a_video_is_as_large_as_its_frames(tmp_path: Path) -> None:
    path = written(tmp_path / "mine.jsonl", [[(4, 8, 8)]])
    assert serve(Traffic(Recorded(Trace(path)), None), ENCODER).cache_bytes == 4 * 16 * 8
