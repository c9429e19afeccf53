from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
import torch

import vlbench
from tests.cuda_stand_ins import ON_CUDA, UUID, cuda
from tests.trial.plans import MODEL, python_path, work_in
from vlbench.errors import UsageError
from vlbench.process.messages import Message
from vlbench.process.parent import Parent
from vlbench.record.fingerprint import take_fingerprint
from vlbench.trial import card as card_module, machine
from vlbench.trial.card import take_machine_card
from vlbench.trial.clock import LONGEST_QUEUE, SHORTEST_QUEUE
from vlbench.trial.machine import Machine, Wanted, fingerprint_of, machine_of


@pytest.fixture
def no_context(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("this process asked CUDA")

    for name in ("_lazy_init", "get_device_properties", "current_stream", "synchronize", "empty_cache", "Event"):
        monkeypatch.setattr(torch.cuda, name, refuse)


@pytest.mark.usefixtures("no_context")
def test_a_gpu_is_asked_by_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", python_path(ON_CUDA))
    found, card = machine_of("cuda", card=False)
    assert (found.gpu, found.gpu_uuid) == ("NVIDIA H100 80GB HBM3", f"GPU-{UUID}")
    assert found.attention
    assert set((found.fp32 or {}).values()) == {"ieee"}
    assert card() is None


@pytest.mark.usefixtures("no_context")
@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_where_there_is_no_gpu_it_says_so_in_a_sentence() -> None:
    with pytest.raises(UsageError, match=r"^--device cuda: the GPU cannot be asked what it is: its process ended with"):
        fingerprint_of("cuda")


@pytest.mark.slow
@pytest.mark.usefixtures("no_context")
def test_the_process_that_starts_the_trials_of_a_run_keeps_no_context(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may ask whether there is a GPU, which makes none."""
    work_in(tmp_path, monkeypatch)
    monkeypatch.setenv("PYTHONPATH", python_path(ON_CUDA))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    about: dict[str, Any] = {
        "model": MODEL,
        "variant": "best",
        "state": ["warm", "behind"],
        "device": "cuda",
        "dtype": "float32",
    }
    found = vlbench.run("small.toml", **about, budget=5, card=False, progress=False).record
    (group,) = found.groups
    assert (group.device, group.lost, found.fingerprint.gpu_uuid) == ("cuda", (), f"GPU-{UUID}")
    for trial in group.trials:
        for variant in trial.variants:
            behind = variant.timings["behind"]
            assert behind.queue_seconds
            assert SHORTEST_QUEUE <= behind.queue_seconds <= LONGEST_QUEUE
            assert behind.first_kernel_seconds is not None
    assert not torch.cuda.is_initialized()


class Told:
    """A parent that wants the card, and keeps what it is told."""

    def __init__(self) -> None:
        self.said: list[Message] = []

    def hear(self, kind: type[Message]) -> Iterator[Message]:
        yield Wanted(card=True)

    def say(self, message: Message) -> None:
        self.said.append(message)


def test_the_process_measures_the_card_and_tf32_stays_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(card_module, "GEMM_SIZE", {"cuda": 16})
    monkeypatch.setattr(card_module, "BIG_COPY", {"cuda": 2**16})
    monkeypatch.setattr(machine, "take_machine_card", partial(take_machine_card, seconds=0.01))
    told = Told()
    with cuda():
        machine._work(cast("Parent", told))
    (said,) = told.said
    assert isinstance(said, Machine)
    assert said.card
    assert (said.card.device, said.card.gemm_size) == ("cuda", 16)
    assert all(copy.pageable_us and copy.pinned_us for copy in said.card.copies)
    assert Machine.model_validate_json(said.model_dump_json()) == said


def test_a_cpu_is_asked_here_and_its_card_is_measured_when_it_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = take_machine_card("cpu", seconds=0.01)
    asked: list[str] = []
    monkeypatch.setattr(machine, "measured_card", lambda device: asked.append(device) or measured)
    found, card = machine_of("cpu", card=True)
    assert (found, asked) == (take_fingerprint("cpu"), [])
    assert (card(), asked) == (measured, ["cpu"])
    assert machine_of("cpu", card=False)[1]() is None
