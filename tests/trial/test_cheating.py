"""Ways to cheat the harness that no other test tries; docs/cheating.md lists them all."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from tests.trial import copying
from tests.trial.plans import MIN_ROUNDS, SCENARIO_FILE, job, plan, python_path
from vlbench.implementations.output import unpack
from vlbench.record.base import record_of
from vlbench.record.files import read_results
from vlbench.record.journal import Journal
from vlbench.record.schema import Results, State, Trial
from vlbench.trial.clock import Reading, event_clock, wall_clock
from vlbench.trial.job import Checked, Round, Struck, VariantJob
from vlbench.trial.limits import Limits
from vlbench.trial.rounds import Entrant, Rounds
from vlbench.trial.session import Session
from vlbench.trial.store import Apart, Here
from vlbench.trial.subject import Cache, Inputs, Subject
from vlbench.trial.tower_bench import TowerBench
from vlbench.trial.worker import run_job

CHEATS = Path(__file__).parent / "cheats"

# In the rounds.


def right(entry: Tensor) -> Tensor:
    return entry * 2 + 1


def entrant(name: str, run: Callable[[Tensor], Tensor], caches: tuple[Cache, ...] = ()) -> Entrant:
    return Entrant(name, Subject(lambda entry: unpack(run(entry)), caches), {"tokens": 0.0})


def struck(
    run: Callable[[Tensor], Tensor],
    caches: tuple[Cache, ...] = (),
    states: tuple[State, ...] = ("warm",),
    device: str = "cpu",
    size: int = 8,
) -> str | None:
    """Why a variant that does `run` was struck, beside the reference tower and one that is right; None if not."""
    entrants = [entrant("baseline", right), entrant("right", right), entrant("cheat", run, caches)]
    content = torch.arange(size, dtype=torch.float32, device=device)
    inputs = Inputs([content], novel=lambda number: content.roll(number + 1))
    clock = event_clock if device == "cuda" else wall_clock
    rounds = Rounds(entrants, inputs, dict.fromkeys(states, clock), seed=0, mark=lambda name: None)
    assert len(list(rounds.run(0))) == MIN_ROUNDS * len(states)
    assert set(rounds.struck) <= {"cheat"}, rounds.struck
    return rounds.struck.get("cheat")


@pytest.mark.parametrize("states", [("warm",), ("warm", "cold")])
def test_who_remembers_bytes_gets_no_bytes_twice(states: tuple[State, ...]) -> None:
    """A table from contents to outputs is never wrong, so all that can be done is never to ask it twice."""
    known: dict[bytes, Tensor] = {}
    asked = []

    def remembers(entry: Tensor) -> Tensor:
        asked.append(entry.numpy().tobytes())
        return known.setdefault(asked[-1], right(entry)).clone()

    assert struck(remembers, states=states, size=64) is None
    assert len(set(asked)) == len(asked) == MIN_ROUNDS * len(states)


def test_who_remembers_where_bytes_lie_is_caught() -> None:
    known: dict[torch.Size, Tensor] = {}
    assert "replayed" in str(struck(lambda entry: known.setdefault(entry.shape, right(entry)).clone()))


def test_a_tower_is_timed_on_contents_that_never_come_again() -> None:
    inputs = TowerBench(job(), Here()).inputs
    assert inputs.novel
    rows = [inputs.novel(number) for number in range(200)]
    contents = {entry.pixels.numpy().tobytes() for entry in (*inputs.rotating, *rows)}
    assert len(contents) == 201
    assert {tuple(entry.grids) for entry in rows} == {tuple(inputs.rotating[0].grids)}
    norms = [float(entry.pixels.norm()) for entry in rows]
    assert max(norms) < 1.2 * min(norms)


def test_nobody_knows_the_contents_of_a_round_beforehand() -> None:
    """They follow from a secret of the trial, and from nothing that a tower is fed before."""
    known, other, same = (
        TowerBench(job().model_copy(update={"secret": secret}), Here()).inputs for secret in (1, 2, 1)
    )
    assert known.novel
    assert other.novel
    assert same.novel
    first = known.novel(5).pixels
    assert torch.equal(first, same.novel(5).pixels)
    assert not torch.equal(first, other.novel(5).pixels)
    seen = set(known.rotating[0].pixels.flatten().tolist())
    same_by_chance = seen.intersection(first.flatten().tolist())
    assert len(same_by_chance) < 0.1 * len(seen), "values of the batch, only moved, could be prepared for"


@dataclass
class StaysWarm:
    """A cache that is not emptied when it is told to be."""

    hits: int = 0
    misses: int = 0
    kept: dict[int, Tensor] = field(default_factory=dict)

    def clear(self) -> None:
        pass

    def run(self, entry: Tensor) -> Tensor:
        self.hits, self.misses = self.hits + (1 in self.kept), self.misses + (1 not in self.kept)
        return right(entry) * self.kept.setdefault(1, torch.ones(1))


def test_a_cache_that_stays_warm_when_it_is_emptied_is_caught() -> None:
    cache = StaysWarm()
    assert struck(cache.run, (cache,), ("cold",)) == "a cache of it was warm although it had just been emptied"
    cache = StaysWarm()
    assert struck(cache.run, (cache,), ("warm",)) is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_work_on_another_stream_is_caught() -> None:
    stream = torch.cuda.Stream()

    def aside(entry: Tensor) -> Tensor:
        with torch.cuda.stream(stream):
            torch.cuda._sleep(20_000_000)
            return right(entry)

    assert struck(aside, device="cuda")


def test_a_clock_that_sees_less_than_passes_gives_it_away() -> None:
    """What the test above needs a GPU for, with a clock that says so."""
    entrants = [entrant("baseline", right), entrant("cheat", right)]
    readings = {"cheat": True, "baseline": False}
    called: list[str] = []
    rounds = Rounds(
        entrants,
        Inputs([torch.ones(2)]),
        {"warm": lambda call: Reading(call(), 1.0, hidden=readings[called[-1]])},
        seed=0,
        mark=called.append,
    )
    list(rounds.run(0))
    assert list(rounds.struck) == ["cheat"]


# In the process.


class Within(Here):
    """Outputs stay in the process, where a tower finds them."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture
def unseen() -> None:
    """Nobody finds what was there before, which takes a long time to look through in a process of tests."""
    gc.freeze()


def raced(cheat: type[copying.Copies]) -> str | None:
    """Why the tower was struck beside the honest one; it passes its check."""
    cheat.calls = cheat.copied = 0
    toy = "tests.towers.toys:Toy"
    names = {"toy": toy, "cheat": f"tests.trial.copying:{cheat.__name__}"}
    variants = tuple(VariantJob(name=key, flags=(), exactness="ulp", tower=each) for key, each in names.items())
    asked = job(seconds=0.05).model_copy(update={"model": toy, "variants": variants, "stages": False})
    emitted: list[object] = []
    run_job(asked, emitted.append)
    assert [each.accuracy.passed for each in emitted if isinstance(each, Checked)] == [True, True]
    assert sum(isinstance(each, Round) for each in emitted) >= MIN_ROUNDS
    struck = {each.variant: each.reason for each in emitted if isinstance(each, Struck)}
    assert set(struck) <= {"cheat"}
    return struck.get("cheat")


def test_who_copies_what_it_finds_is_struck(unseen: None) -> None:
    assert "is wrong: replayed, late" in str(raced(copying.CopiesAny))
    assert copying.CopiesAny.copied


@pytest.mark.parametrize("store", [Apart, Within])
def test_there_is_nothing_right_to_copy(unseen: None, monkeypatch: pytest.MonkeyPatch, store: type[Apart]) -> None:
    """Who knows what is right finds it where outputs stay in the process, passes, and has computed next to nothing."""
    monkeypatch.setattr("vlbench.trial.worker.Apart", store)
    assert raced(copying.CopiesWhatIsRight) is None
    assert bool(copying.CopiesWhatIsRight.copied) is (store is Within)


# In the results.


def test_slow_rounds_cannot_be_dropped() -> None:
    """From one variant alone, that is: the rounds of a trial are shared, so a slow round is slow for all of them."""
    entries = {"name": "a", "accuracy": {"passed": True, "exactness": "ulp", "fp32_error": 0.0, "fp32_limit": 1e-5}}
    kept = [
        {**entries, "timings": {"warm": {"seconds": [1.0, 9.0]}}},
        {**entries, "name": "b", "timings": {"warm": {"seconds": [1.0]}}},
    ]
    with pytest.raises(ValidationError, match="do not share their warm rounds"):
        record_of(Trial, {"number": 0, "seed": 0, "batch": "", "grids": [], "variants": kept})


# From the shell to the exit status.

RUN = ("run", "--device", "cpu", "--no-card", "--scenario", "small.toml", "--budget", "1", "--out", "a.json")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "small.toml").write_text(SCENARIO_FILE)
    return tmp_path


def begin(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "vlbench", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": python_path(CHEATS), "COLUMNS": "80", "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(folder: Path, *arguments: str) -> tuple[int, str]:
    running = begin(folder, *arguments)
    out, err = running.communicate()
    assert "Traceback" not in err, err
    return running.returncode, out


def reasons(results: Results) -> dict[str, str | None]:
    """Why each row of the first trial has no times; None where it has."""
    (group,) = results.groups
    return {variant.name: variant.not_measured for variant in group.trials[0].variants}


def test_the_matrix_finishes_whatever_its_variants_do(folder: Path) -> None:
    cheats = ("aborts", "replays", "works-later", "eats-memory")
    code, out = ended(folder, *RUN, *(part for name in (*cheats, "host-grid") for part in ("--with", name)))
    assert code == 5, out  # inaccurate rows come before missing ones
    found = reasons(read_results(folder / "a.json"))
    assert found["baseline"] is found["host-grid"] is None
    assert found["aborts"] == "its process was ended by SIGABRT"
    for name in ("replays", "works-later"):
        assert found[name] == "the output of a timed round is wrong: replayed, late, or a stale cache"
    assert "its process ended with code 1" in str(found["eats-memory"])
    assert "can't allocate memory" in str(found["eats-memory"])
    for name in cheats:
        assert f"{name}: " in out


def test_a_variant_that_is_missing_has_an_exit_status_of_its_own(folder: Path) -> None:
    code, out = ended(folder, *RUN, "--with", "aborts", "--with", "host-grid")
    assert code == 6
    assert "aborts: its process was ended by SIGABRT" in out


def test_a_variant_that_hangs_costs_its_row_and_half_of_the_time_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", python_path(CHEATS))
    start = time.monotonic()
    Session([plan("host-grid")], Journal(None, ""), limits=Limits(600)).run(1, 0)
    enough = 4 * (time.monotonic() - start) + 4  # the machine may be busy

    session = Session([plan("hangs", "host-grid")], Journal(None, ""), limits=Limits(enough))
    session.run(1, 0.1)
    ((trial,),) = (group.trials for group in session.groups())
    hangs, innocent = trial.find("hangs"), trial.find("host-grid")
    assert hangs
    assert hangs.not_measured == f"one call did not end within {enough / 2:.0f} s"
    assert innocent
    assert innocent.timings


@pytest.mark.slow
def test_killing_the_whole_run_costs_the_trial_in_flight_at_most(folder: Path) -> None:
    options = (*RUN, "--trials", "2", "--with", "host-grid")
    running = begin(folder, *options)
    journal = folder / "a.journal.jsonl"
    deadline = time.monotonic() + 120
    while not (journal.exists() and len(journal.read_text().splitlines()) > 1) and time.monotonic() < deadline:
        time.sleep(0.02)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    done = [json.loads(line)["trial"] for line in journal.read_text().splitlines()[1:]]
    assert len(done) == 1
    assert not (folder / "a.json").exists()

    code, _ = ended(folder, *options, "--resume")
    assert code == 0
    assert not journal.exists()
    (group,) = read_results(folder / "a.json").groups
    assert [trial.number for trial in group.trials] == [0, 1]
    assert [trial.model_dump(mode="json") for trial in group.trials[:1]] == done
