"""Open questions about CUDA, answered in one JSON file: `python -m results.gpu.probe probe.json`.

Each question is asked in a process of its own: after an illegal access a process gets no other answer, the first call
of many things is a question in itself, and what hangs is ended. One that fails does not end the others.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from results.gpu import attention_questions, questions
from results.gpu.asking import QUESTIONS, Question
from vlbench.errors import in_one_line
from vlbench.record.files import write_whole

FORK = multiprocessing.get_context("fork")
"""Torch is imported once. CUDA is first touched in the child, which a fork could not take along."""
MODULES = (attention_questions, questions)
"""Where they are."""


@dataclass(frozen=True)
class Answer:
    """What is known of one question."""

    asks: str
    device: str
    """Where it was asked: an answer of "cpu" says only that the question can be asked."""
    seconds: float
    found: dict[str, Any]
    """Facts, and times as `Samples`; {} where nothing was measured."""
    not_measured: str
    """Why; "" where something was."""


def ask(question: Question) -> Answer:
    """The answer, or why there is none."""
    start, (receiver, sender) = time.perf_counter(), FORK.Pipe(duplex=False)
    child = FORK.Process(target=_answer, args=(question, sender), daemon=True)
    child.start()
    sender.close()
    device, found, reason = "", {}, f"no answer within {question.seconds:g} s"
    try:
        if receiver.poll(question.seconds):
            device, text, reason = receiver.recv()
            found = json.loads(text)
    except EOFError:
        child.join(1)
        reason = f"its process ended with {child.exitcode}"
    child.kill()
    child.join(1)  # no longer: a driver that hangs keeps what was killed
    return Answer(question.asks, device, time.perf_counter() - start, found, reason)


def _answer(question: Question, sender: Connection) -> None:
    has_gpu = torch.cuda.is_available()
    device = torch.device("cuda" if has_gpu else "cpu")
    text, reason = "{}", "no CUDA device"
    if has_gpu or not question.wants_gpu:
        try:
            torch.set_num_threads(1)
            with torch.inference_mode():
                found = question.answer(device)
            if has_gpu:
                torch.cuda.synchronize()  # what went wrong in the meantime is raised here
            text, reason = json.dumps(found, allow_nan=False), ""
        except Exception as error:  # whatever torch, CUDA or its driver say
            reason = in_one_line(error)
    sender.send((device.type, text, reason))
    sender.close()
    os._exit(0)  # a device that was lost may hang what ends in order


def main(out: Path) -> int:
    """Ask all, and write what is known after each. Ends with 1 where one failed that a GPU would not have answered."""
    answers: dict[str, Answer] = {}
    for name, question in QUESTIONS.items():
        answers[name] = ask(question)
        told = {each: asdict(answer) for each, answer in answers.items()}
        document = {"created": datetime.now(UTC).isoformat(), "torch": torch.__version__, "answers": told}
        write_whole(out, json.dumps(document, indent=1) + "\n")
        print(f"{name}: {answers[name].not_measured or 'measured'}, {answers[name].seconds:.1f} s", flush=True)
    return 1 if any(each.not_measured and each.device != "cpu" for each in answers.values()) else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
