"""A judged process that writes what no tower returns into the file through which outputs go."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from vlbench.errors import UsageError
from vlbench.trial.judged import Answer, Ask, Call
from vlbench.trial.remote import Remote, RemoteTower


def pipe_for(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


WRONG: dict[str, Callable[[Path], object]] = {
    "junk": lambda file: file.write_bytes(b"junk" * 40),
    "nothing, so that the inputs are still there": lambda file: None,
    "other types": lambda file: torch.save({"tokens": "x", 3: [1]}, file),
    "a name that is none": lambda file: torch.save({"tokens": torch.ones(2, 8), 3: torch.ones(2)}, file),
    "no tokens": lambda file: torch.save({"features": torch.ones(2, 8)}, file),
    "no file": Path.unlink,
    "a pipe": pipe_for,
}


class Process:
    """Stands in for a judged process, which does this with the file whenever a tower is called."""

    def __init__(self, does: Callable[[Path], object], file: Path) -> None:
        self.does, self.file = does, file
        self.has_ended = False

    def hear(self) -> Answer:
        return Answer()

    def tell(self, ask: Ask) -> None:
        if isinstance(ask.to, Call):
            self.does(self.file)

    def __exit__(self, *_: object) -> None:
        self.has_ended = True


def called(does: Callable[[Path], object]) -> tuple[Callable[[], Any], Remote, Process]:
    remote = Remote(lambda exchange: None, 60.0)  # type: ignore[arg-type, return-value]
    process = Process(does, remote.exchange)
    remote._child = process  # type: ignore[assignment]
    return lambda: RemoteTower(remote, 1)(torch.ones(8, 4), torch.tensor([[1, 2, 4]])), remote, process


@pytest.mark.parametrize("does", WRONG.values(), ids=WRONG)
def test_what_is_no_output_ends_the_process(does: Callable[[Path], object]) -> None:
    call, remote, process = called(does)
    with pytest.raises(UsageError, match=r"^it left no output where one was expected$"):
        call()
    assert remote.ended == remote.failed == "it left no output where one was expected"
    assert process.has_ended


def test_an_output_is_read_and_the_next_call_makes_the_folder_again_where_it_is_gone() -> None:
    parts: dict[str, Tensor] = {"tokens": torch.ones(2, 8), "features": torch.zeros(2)}
    call, remote, process = called(lambda file: torch.save(parts, file))
    for _ in range(2):
        output = call()
        assert torch.equal(output.tokens, parts["tokens"])
        assert [*output.parts] == ["features"]
        remote.exchange.parent.joinpath("in-use").unlink(missing_ok=True)
        remote.exchange.parent.rmdir()
    assert not process.has_ended


def test_what_a_tower_put_in_the_place_of_torch_save_writes_no_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    remote = called(lambda file: None)[1]
    monkeypatch.setattr(torch, "save", lambda what, file: Path(file).write_bytes(b"junk"))
    remote.hand(torch.ones(2))
    (found,) = torch.load(remote.exchange, weights_only=True)
    assert torch.equal(found, torch.ones(2))
