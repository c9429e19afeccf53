"""The probe: every question has an answer or a reason, whatever becomes of the process that it is asked in."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pytest
import torch

from results.gpu import asking, probe
from results.gpu.asking import QUESTIONS, Question, first_call, samples
from results.gpu.probe import ask, main
from vlbench.counting_device import CountingDevice
from vlbench.trial.clock import SYNCHRONIZE

CPU = torch.device("cpu")


def hangs(device: torch.device) -> dict[str, Any]:
    time.sleep(60)
    return {}


def dies(device: torch.device) -> dict[str, Any]:
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def raises(device: torch.device) -> dict[str, Any]:
    raise RuntimeError("CUDA error: an illegal memory access was encountered\nCompile with more")


def is_not_finite(device: torch.device) -> dict[str, Any]:
    return {"error": float("nan")}


def says_much(device: torch.device) -> dict[str, Any]:
    return {"said": "x" * 1_000_000, "device": device.type}


def timings(found: object) -> Iterator[dict[str, Any]]:
    """All times in an answer."""
    if isinstance(found, dict):
        if found.keys() == {"median_us", "samples_us"}:
            yield found
        else:
            yield from (each for value in found.values() for each in timings(value))


no_gpu = pytest.mark.skipif(
    torch.cuda.is_available(), reason="other tests have CUDA in this process: no fork of it may"
)


@no_gpu
def test_what_fails_leaves_the_others_their_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {each.__name__: Question("Why?", each, 0.3, False) for each in (hangs, dies, raises, is_not_finite)}
    asked["says_much"] = Question("How much?", says_much, 20, False)
    asked["gpu"] = Question("Which?", says_much, 20, True)
    monkeypatch.setattr(probe, "QUESTIONS", asked)
    assert main(tmp_path / "probe.json") == 1
    answers = json.loads((tmp_path / "probe.json").read_text())["answers"]
    assert {name: each["not_measured"].removesuffix(": nan") for name, each in answers.items()} == {
        "hangs": "no answer within 0.3 s",
        "dies": "its process ended with -9",
        "raises": "RuntimeError: CUDA error: an illegal memory access was encountered",
        "is_not_finite": "ValueError: Out of range float values are not JSON compliant",
        "says_much": "",
        "gpu": "no CUDA device",
    }
    assert {name: bool(each["found"]) for name, each in answers.items()} == {
        name: name == "says_much" for name in answers
    }
    assert answers["says_much"]["found"]["device"] == answers["says_much"]["device"] == "cpu"


def test_a_question_that_fails_on_a_gpu_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([probe.Answer("", "cuda", 1.0, {}, "why"), probe.Answer("", "cuda", 1.0, {"a": 1}, "")])
    monkeypatch.setattr(probe, "ask", lambda question: next(answers))
    monkeypatch.setattr(probe, "QUESTIONS", dict.fromkeys("ab", Question("", hangs, 1, False)))
    assert main(tmp_path / "probe.json") == 1


def test_every_question_asks_something_and_has_a_limit() -> None:
    assert len(QUESTIONS) >= 15
    for name, question in QUESTIONS.items():
        assert question.asks.endswith("?"), name
        assert 0 < question.seconds <= 60
    assert any(not question.wants_gpu for question in QUESTIONS.values())


def test_times_are_kept_as_they_came() -> None:
    assert samples([3e-6, 1e-6, 2.5e-6]) == {"median_us": 2.5, "samples_us": [3.0, 1.0, 2.5]}
    assert first_call(lambda: time.sleep(0.01), CPU) >= 0.01
    assert len(asking.spans(lambda: torch.ones(1), CPU, 5)["samples_us"]) == 5
    assert len(asking.holds(lambda: torch.ones(1), CPU, 7)["samples_us"]) == 7


@no_gpu
def test_a_switch_that_is_refused_or_ignored_would_be_seen() -> None:
    """What `tf32` reads on a CPU is what torch says: the new switches were set, and the errors are those of fp32."""
    answer = ask(QUESTIONS["tf32"])
    assert answer.not_measured == ""
    started, *_, last = answer.found.values()
    assert last["refused"] == {}
    assert last["read"]["cuda.matmul.fp32_precision"] == last["read"]["cudnn.conv.fp32_precision"] == "ieee"
    assert 0 < max(started["error"].values()) < 1e-5


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU: ask it")
def test_all_questions_on_a_cpu(tmp_path: Path) -> None:
    assert main(tmp_path / "probe.json") == 0
    document = json.loads((tmp_path / "probe.json").read_text())
    assert document.keys() == {"created", "torch", "answers"}
    assert [*document["answers"]] == [*QUESTIONS]
    for name, answer in document["answers"].items():
        assert answer.keys() == {"asks", "device", "seconds", "found", "not_measured"}
        assert answer["device"] == "cpu"
        assert answer["not_measured"] == ("no CUDA device" if QUESTIONS[name].wants_gpu else ""), name
        assert bool(answer["found"]) != bool(answer["not_measured"])
        for each in timings(answer["found"]):
            assert each["samples_us"]
            assert each["median_us"] == median(each["samples_us"])
            assert all(0 <= sample < 1e8 for sample in each["samples_us"])


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, each in QUESTIONS.items() if each.wants_gpu])
def test_what_a_gpu_alone_answers_runs_to_its_end(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the counting device, which has neither a clock nor a queue: each question can be asked as it is written."""
    monkeypatch.setattr(torch.cuda, "_sleep", lambda cycles: None)
    monkeypatch.setitem(SYNCHRONIZE, "cuda", lambda: None)
    with CountingDevice("shadow"), torch.inference_mode():
        monkeypatch.setattr(torch.cuda.Event, "elapsed_time", lambda self, end: 1.0)
        found = QUESTIONS[name].answer(torch.device("cuda"))
    assert found
    unanswered = {key for key, value in found.items() if "not measured" in json.dumps(value, allow_nan=False)}
    assert unanswered <= {"mode", "second"}, found  # a second process sees no GPU
