from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pytest
import torch

from tests.cli.conftest import Vlbench
from tests.judging.self_tests import self_test_group
from tests.trial.plans import python_path
from vlbench.cli.self_test import plans_of
from vlbench.judging.summary import summaries
from vlbench.judging.verdict import Floors, Verdict
from vlbench.record.files import write_results
from vlbench.record.fingerprint import take_fingerprint
from vlbench.record.journal import Journal
from vlbench.record.schema import CellGroup, Results
from vlbench.selftest.copies import Design
from vlbench.selftest.verdicts import report
from vlbench.trial.job import Event, Round, Struck, job_of
from vlbench.trial.limits import Limits
from vlbench.trial.session import Session
from vlbench.trial.worker import run_job

ROWS = {"copy 1": (0.0, 1.0), "+3% 1": (0.03, 1.03)}


def written(path: Path, group: CellGroup) -> Path:
    now = datetime.now(UTC)
    write_results(
        Results(created=now, command="vlbench self-test", fingerprint=take_fingerprint("cpu"), groups=(group,)), path
    )
    return path


def test_the_report_of_an_earlier_self_test_in_every_form(vlbench: Vlbench, folder: Path) -> None:
    met = written(folder / "met.json", self_test_group(ROWS))
    ended = vlbench("self-test", "--from", met, "--compare-rules", "--markdown", "page.md")
    assert ended.code == 0, ended
    assert max(map(len, ended.out.splitlines())) <= 80
    assert "caught in 95%): met." in ended.out
    assert "hyperfine" in ended.out
    assert (folder / "page.md").read_text().startswith("# Self-test\n")

    ended = vlbench("self-test", "--from", met, "--json")
    assert ended.json()["met"] is True
    assert ended.json()["tallies"][0]["verdicts"] == {"same": 1}
    assert ended.json()["rules"] == []


@pytest.mark.parametrize(
    ("group", "code"),
    [
        (self_test_group({**ROWS, "copy 2": (0.0, 1.1)}), 3),
        (self_test_group({**ROWS, "+3% 2": (0.03, 1.0)}), 3),
        (self_test_group(ROWS, not_measured={"copy 1": "killed"}), 6),
    ],
)
def test_the_exit_status_says_what_failed(vlbench: Vlbench, folder: Path, group: CellGroup, code: int) -> None:
    assert vlbench("self-test", "--from", written(folder / "a.json", group), "--json").code == code


def test_other_results_are_refused(vlbench: Vlbench, folder: Path) -> None:
    other = self_test_group(ROWS).model_copy(update={"scenario": "video"})
    path = written(folder / "other.json", other)
    assert vlbench("self-test", "--from", path).sentence == (
        f"--from {path}: not the results of a self-test; write one with `vlbench self-test`"
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_gpu_that_is_not_there_is_named(vlbench: Vlbench) -> None:
    told = "--device cuda: torch sees no GPU here; leave the option out to measure on the CPU"
    assert vlbench("self-test", "--device", "cuda").sentence == told


def test_a_folder_that_is_not_there_is_refused_before_measuring(vlbench: Vlbench) -> None:
    assert vlbench("self-test", "--out", "nowhere/a.json").sentence.startswith(
        "--out nowhere/a.json: the folder nowhere"
    )


@pytest.mark.parametrize("kind", ["ab", "seam"])
def test_every_shape_can_be_measured(kind: Literal["ab", "seam"]) -> None:
    design = Design(groups=1, copies=1, slowed={1.0: 1}, seconds=0.05, trials=1, kind=kind)
    (plan,) = plans_of(design, 0, 1)
    emitted: list[Event] = []
    run_job(job_of(plan, 0, design.seconds), emitted.append)
    last = [event for event in emitted if isinstance(event, Round)][-1]
    assert list(last.seconds) == [variant.name for variant in design.variants]
    assert not any(isinstance(event, Struck) for event in emitted)


def test_an_injected_slow_down_is_measured_and_copies_are_rows_like_any_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One real process; what a vote makes of five is known from made-up ones."""
    monkeypatch.setenv("PYTHONPATH", python_path())
    design = Design(groups=1, copies=2, slowed={1.0: 1}, seconds=0.5, trials=1)
    session = Session(plans_of(design, 0, 1), Journal(tmp_path / "journal", ""), limits=Limits(600))
    session.run(design.trials, design.seconds)
    (group,) = session.groups()
    assert [(row.name, row.is_reference, row.slow_down) for row in group.rows] == [
        ("baseline", True, 0.0),
        ("copy 1", False, 0.0),
        ("copy 2", False, 0.0),
        ("+100% 1", False, 1.0),
    ]
    first, *copies, slow = summaries(group, Floors())
    assert first.estimate is None
    for copy in copies:
        assert copy.counts == first.counts
        assert copy.estimate
        assert copy.accuracy
        assert copy.accuracy.fp32_error == 0
    assert slow.estimate
    assert 1.5 < slow.estimate.ratio < 3
    assert report([group]).identical.verdicts == {Verdict.INCONCLUSIVE: 2}  # one process is no vote
