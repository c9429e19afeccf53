"""Pairs of real processes that end before their work does; `tests/cli/test_ab.py` has one that does it all."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import torch

from tests.repositories import write
from tests.revisions.packages import DYING, FILE, PACKAGE, READS_OTHERWISE, changed
from tests.trial.plans import POINT, python_path
from vlbench.errors import UsageError
from vlbench.process.child import ChildError
from vlbench.process.interpreter import Interpreter, our_code
from vlbench.revisions.lockstep import _rounds, run_pair
from vlbench.revisions.messages import Reading, output_of
from vlbench.trial.job import Event, Job, Round, Struck, VariantJob
from vlbench.workload.scenario import Item


@pytest.fixture(autouse=True)
def path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes find vlbench wherever they start."""
    monkeypatch.setenv("PYTHONPATH", python_path())


def job(folder: Path, head: str) -> Job:
    """BASE is the package as it is, HEAD is `head`."""
    write(folder, {f"base/{FILE}": PACKAGE, f"head/{FILE}": head})
    texts = [f"at:{folder / side}:towers:vision" for side in ("base", "head")]
    variants = tuple(
        VariantJob(name=name, flags=(), exactness="reassociated", tower=text)
        for name, text in zip(("BASE", "HEAD"), texts, strict=True)
    )
    return Job(
        model=texts[0], dtype="float32", device="cpu", threads=1, seed=0, point=POINT, variants=variants, seconds=1.0
    )


def events(asked: Job, timeout: float = 120) -> list[Event]:
    return list(run_pair(asked, timeout))


def test_a_side_that_dies_is_named_with_its_end(tmp_path: Path) -> None:
    with pytest.raises(ChildError, match="its process ended with code 3") as caught:
        events(job(tmp_path, changed(DYING)))
    assert caught.value.called == "HEAD"


def test_a_pair_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    with pytest.raises(ChildError, match="no end after 0 s") as caught:
        events(job(tmp_path, PACKAGE), timeout=0.01)
    assert caught.value.called == "BASE"


def test_a_side_that_leaves_no_output_that_can_be_read_is_struck(tmp_path: Path) -> None:
    def side(name: str, leave: Callable[[Path], object]) -> Any:
        def take(*_: object) -> Reading:
            leave(output_of(tmp_path, name))
            return Reading(seconds=1.0)

        return SimpleNamespace(name=name, take=take)

    def right(file: Path) -> None:
        torch.save({"tokens": torch.ones(2, 8)}, file)

    def ending(base: Any, head: Any) -> object:
        rounds = _rounds(job(tmp_path, PACKAGE), base, head, {"tokens": 0.1}, tmp_path)
        with pytest.raises(StopIteration) as ended:
            next(rounds)
        return ended.value.value

    struck = ending(side("BASE", right), side("HEAD", lambda file: file.write_bytes(b"junk")))
    assert struck == Struck(variant="HEAD", reason="it left no output of a timed round that can be read")
    with pytest.raises(ChildError, match="left no output") as caught:
        ending(side("BASE", lambda file: None), side("HEAD", right))
    assert caught.value.called == "BASE"


@pytest.mark.slow(4)
def test_a_side_that_reads_other_inputs_is_refused(tmp_path: Path) -> None:
    """What differs lies behind the patches by which it is seen whether both draw alike."""
    asked = job(tmp_path, changed(READS_OTHERWISE))
    four = POINT.model_copy(update={"item": (Item(grid="4x6", count=4),)})
    with pytest.raises(UsageError, match=r"^HEAD: it reads other inputs than BASE wrote; take nearer versions of "):
        events(asked.model_copy(update={"point": four}))


@pytest.mark.slow(5)
def test_a_side_of_another_interpreter_that_refuses_is_named_with_it(tmp_path: Path) -> None:
    asked = job(tmp_path, PACKAGE)
    base, head = asked.variants
    asked = asked.model_copy(update={"variants": (base.model_copy(update={"tower": "no.such:tower"}), head)})
    with (
        our_code() as code,
        pytest.raises(UsageError, match=r"^BASE, .*python\S*: tower 'no\.such:tower': no\.such cannot"),
    ):
        list(run_pair(asked, 120, pythons={"BASE": Interpreter(Path(sys.executable), code)}))


@pytest.mark.slow(8)
def test_a_side_is_stopped_when_it_is_not_its_turn(tmp_path: Path) -> None:
    """So that threads of one, which wait by spinning, do not slow the other."""
    rounds = 0
    for event in run_pair(job(tmp_path, PACKAGE), 120):
        if isinstance(event, Round):
            rounds += 1
            below = [each.status() for each in psutil.Process().children(recursive=True)]
            assert below.count(psutil.STATUS_STOPPED) == 2
    assert rounds
