from __future__ import annotations

import pytest

from tests.export.rendered import shown
from tests.record.records import REFERENCE_SECONDS, group, timed, trial
from vlbench.export.results import group_parts
from vlbench.judging.busy import busy, throttled
from vlbench.judging.summary import summaries
from vlbench.judging.verdict import Floors
from vlbench.record.schema import Load, Timing

ON_GPU = {"warm": Timing(seconds=REFERENCE_SECONDS, host_seconds=REFERENCE_SECONDS)}
QUIET = Load(cores=2, load=1.2, stolen=0.001, switches=3.0)


@pytest.mark.parametrize(
    ("seen", "sign"),
    [
        ({"load": 3.4}, "busy machine: load 3.4 on 2 cores with 1 thread of ours; measure again when it is quiet"),
        ({"stolen": 0.05}, "5.0 % of the time stolen by the hypervisor"),
        ({"switches": 300.0}, "interrupted 300 times a second"),
        ({}, ""),
        ({"load": None, "stolen": None}, ""),
    ],
)
def test_each_sign_of_a_busy_machine_is_named(seen: dict[str, float | None], sign: str) -> None:
    made = group(
        trial(timed("a", 1.0), load=QUIET), trial(timed("a", 1.0), number=1, load=QUIET.model_copy(update=seen))
    )
    assert sign in busy(made)
    assert bool(sign) is bool(busy(made))
    assert (sign in shown(group_parts(made)).replace("\n", " ")) is True


def test_our_own_threads_are_no_load() -> None:
    made = trial(load=Load(cores=8, load=4.3, stolen=None, switches=0.0))
    assert busy(group(made, threads=4)) == ""
    assert "4 threads" in busy(group(trial(load=Load(cores=8, load=4.9, stolen=None, switches=0.0)), threads=4))


@pytest.mark.parametrize(("slow", "sign"), [(1.4, ""), (2.0, "slow rounds of baseline take 2.0x the fast ones")])
def test_the_clock_is_held_against_itself(slow: float, sign: str) -> None:
    paces = {"warm": Timing(seconds=(0.01,) * 20 + (0.01 * slow,) * 10)}
    made = trial(variants=(timed("baseline", 1.0, timings=paces),))
    assert sign in busy(group(made))
    assert bool(sign) is bool(busy(group(made)))


def test_rounds_in_which_the_clock_was_held_back_are_shown() -> None:
    reasons = {"power cap": 2, "thermal slowdown by the driver": 1}
    held = trial(timed("a", 1.0, timings=ON_GPU), throttled_rounds=(1, 4), throttled_by=reasons)
    made = group(held, trial(timed("a", 1.0), number=1), device="cuda")
    assert throttled(made) == (
        "the GPU's clock was held back in 2 of 12 rounds (power cap in 2, thermal slowdown by the driver in 1): "
        "ratios hold, and milliseconds do not compare with other runs"
    )
    seen = " ".join(shown(group_parts(made)).split())
    assert throttled(made) in seen
    assert "GPU: milliseconds of one call; clock held back in 2 of 12 rounds" in seen
    assert throttled(group(trial())) == ""


def test_older_files_tell_of_throttled_rounds_without_reasons() -> None:
    assert throttled(group(trial(throttled_rounds=(3,)), device="cuda")) == (
        "the GPU's clock was held back in 1 of 6 rounds: ratios hold, and milliseconds do not compare with other runs"
    )


def test_a_held_back_clock_lowers_no_verdict() -> None:
    cool = [trial(timed("a", 1.2), number=number) for number in range(5)]
    hot = [
        trial(timed("a", 1.2), number=number, throttled_rounds=tuple(range(6)), throttled_by={"power cap": 6})
        for number in range(5)
    ]
    verdicts = [[each.judgement for each in summaries(group(*trials), Floors())] for trials in (cool, hot)]
    assert verdicts[0] == verdicts[1]
