"""Mutants of every kind of file that is judged: each is refused in one sentence, or judged as before."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.gating.timings import measured
from tests.record.baselines import baseline, cell, forward
from tests.record.records import CLOSE, results, timed, trial
from vlbench.comparing.compared import compare
from vlbench.errors import IncomparableError, UsageError
from vlbench.record.baseline_files import read_baseline, write_baseline
from vlbench.record.counted import CountedTower, CountGroup, CountReport, Forward
from vlbench.record.counts import Counts, Key, Tally
from vlbench.record.files import read_results, write_results
from vlbench.record.journal import Journal

ODD: tuple[Any, ...] = (
    *(None, True, "", "1", "NaN", "Infinity", -1, 0, 10**30, -0.5, 1e308, float("nan"), float("inf")),
    *([], {}, [[]], {"a": [1]}, "\ud800", "x" * 5000),
)
TOKENS = (b"\0", b"\xff", b"\xef\xbb\xbf", b"1e400", b"NaN", b"-", b"[[[[", b"}}", b'"', b"\r", b",", b"9" * 30)
KEY = Key(mode="ghost", profile="sm_90", dtype="float32", attention_backend="flash", torch_version="2.13.0")


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The place of everything in a document but the document itself."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in pairs:
        yield (*path, key)
        yield from places(each, (*path, key))


def drawn_place(document: Any, draw: random.Random) -> tuple[Any, Any]:
    """One of them: what holds it, and under which key."""
    *above, key = draw.choice(list(places(document)))
    for step in above:
        document = document[step]
    return document, key


def mutant(document: Any, draw: random.Random) -> Any:
    """One place dropped, replaced, nested, copied beside itself, moved a little, or given to another key."""
    found = json.loads(json.dumps(document))
    holder, key = drawn_place(found, draw)
    value = holder[key]
    match draw.randrange(6):
        case 0:
            del holder[key]
        case 1:
            holder[key] = draw.choice(ODD)
        case 2:
            holder[key] = draw.choice(([value], {"value": value}))
        case 3 if isinstance(value, list) and value:
            holder[key] = [*value, draw.choice(value)]
        case 4 if isinstance(value, int | float) and not isinstance(value, bool):
            holder[key] = draw.choice((value + 1, value * 2, -value, str(value), float(value), value * 0.999))
        case _ if isinstance(holder, dict):
            holder[draw.choice((f"{key}2", *holder))] = value
        case _:
            holder[key] = draw.choice(ODD)
    return found


def of_bytes(data: bytes, draw: random.Random) -> bytes:
    """Up to four places flipped, cut, filled with what no reader expects, or written twice."""
    found = bytearray(data)
    for _ in range(draw.randint(1, 4)):
        at, size = draw.randrange(len(found) + 1), draw.choice((1, 2, 8, 64))
        match draw.randrange(5):
            case 0 if at < len(found):
                found[at] ^= 1 << draw.randrange(8)
            case 1:
                del found[at : at + size]
            case 2:
                del found[at:]
            case 3:
                found[at:at] = found[at : at + size]
            case _:
                found[at:at] = draw.choice(TOKENS)
    return bytes(found)


def text_of(document: Any, draw: random.Random) -> str:
    """As JSON; one in ten with a key that is there twice."""
    text = json.dumps(document)
    if draw.random() < 0.1 and isinstance(document, dict) and document:
        key = draw.choice(list(document))
        text = f"{text[:-1]}, {json.dumps(key)}: {json.dumps(draw.choice((document[key], *ODD)))}}}"
    return text


def counted(syncs: int) -> CountReport:
    counts = Counts(
        key=KEY,
        total=Tally(device_operations=9, host_syncs=syncs),
        stages={"": Tally(device_operations=9, host_syncs=syncs)},
        live_bytes_before=10,
        peak_live_bytes=20,
        operations={"aten::add": 9},
        kinds=(),
        causes=(),
        questions=(),
        unknown={},
        not_measured=(),
    )
    one = Forward(counts=counts, sites=())
    group = CountGroup(
        scenario="grid",
        point="",
        grids=((1, 4, 4),),
        towers=(CountedTower(name="toy", tower="toy:Tower", cold=one, warm=one),),
    )
    report = CountReport(vlbench="1", profile="sm_90", dtype="float32", groups=(group,), seconds=1, peak_host_bytes=1)
    return report.with_checksum()


def said(path: Path, against: Path) -> list[tuple[Any, ...]]:
    rows = compare(str(against), str(path)).rows
    return [(row.cell, row.measure, row.verdict, row.gates, row.before, row.after, row.ratio) for row in rows]


def judged_as(path: Path) -> Callable[[], object]:
    """What a comparison with the file as it was says."""
    kept = path.with_name(f"kept-{path.name}")
    kept.write_text(path.read_text())
    return partial(said, path, kept)


def the_results(path: Path) -> Callable[[], object]:
    write_results(results(measured(*[1.0, 1.01, 1.02, 1.0, 0.99], seen={"stages": {"mlp": 0.01}})), path)
    read_results(path)
    return judged_as(path)


def the_baseline(path: Path) -> Callable[[], object]:
    write_baseline(baseline(cell(forward(host_syncs=3))), path)
    judged = judged_as(path)

    def gated() -> object:
        read_baseline(path)
        return judged()

    return gated


def the_counts(path: Path) -> Callable[[], object]:
    path.write_text(counted(3).model_dump_json())
    return judged_as(path)


def the_journal(path: Path) -> Callable[[], object]:
    journal = Journal(path, "a plan")
    for number in range(2):
        journal.add_trial(0, trial(timed("rope-cache", 0.5, accuracy=CLOSE), number=number))

    def resumed() -> object:
        found = Journal(path, "a plan", resume=True)
        assert (found.lost(0), found.died) == ([], [])
        whole = journal.trials(0)
        kept = len(found.trials(0))  # where it was cut off, what is lost is measured again
        return whole if found.trials(0) == whole[:kept] else found.trials(0)

    return resumed


FILES = {"results": the_results, "baseline": the_baseline, "counts": the_counts, "journal": the_journal}


def survivors(kind: str, folder: Path, seeds: range) -> Iterator[tuple[int, object, object]]:
    """Mutants that were taken: what is judged of each, and what was judged of the file as it was."""
    path = folder / f"{kind}.json"
    judge = FILES[kind](path)
    text, before = path.read_text(), judge()
    for seed in seeds:
        draw = random.Random(seed)
        lines = text.splitlines()
        if seed % 3 == 0:
            path.write_bytes(of_bytes(text.encode(), draw))
        elif kind == "journal":
            at = draw.randrange(len(lines))
            lines[at] = text_of(mutant(json.loads(lines[at]), draw), draw)
            path.write_text("\n".join(lines) + "\n")
        else:
            path.write_text(text_of(mutant(json.loads(text), draw), draw))
        try:
            yield seed, judge(), before
        except (UsageError, IncomparableError) as refusal:
            assert "\n" not in str(refusal)  # noqa: PT017


def check(kind: str, folder: Path, seeds: range) -> None:
    for seed, after, before in survivors(kind, folder, seeds):
        assert after == before, f"seed {seed} was taken and is judged otherwise"


@pytest.mark.parametrize("kind", FILES)
def test_a_mutant_is_refused_or_judged_as_before(kind: str, tmp_path: Path) -> None:
    check(kind, tmp_path, range(50))


@pytest.mark.slow
@pytest.mark.parametrize("kind", FILES)
def test_so_is_each_of_many(kind: str, tmp_path: Path) -> None:
    check(kind, tmp_path, range(1000, 1300))
