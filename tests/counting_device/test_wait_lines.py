"""Each wait that a line makes is counted, at this line, with and without values."""

from __future__ import annotations

import copy
import io
import linecache
import math
import operator
import warnings
from collections.abc import Iterator
from contextlib import redirect_stdout
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.counting_device.wait_lines import COPIES, NOT_COMPUTED, REFUSED, SHAPES, SOLVERS, VALUES
from vlbench.counting_device import CountingDevice, declare
from vlbench.counting_device.declarations import _declared
from vlbench.errors import UsageError
from vlbench.record.counts import Counts

Run = Any


@pytest.fixture
def run(device: CountingDevice) -> Iterator[Run]:
    """Count one line of a table, which lies in a file of its own."""
    modules = {each.__name__.rpartition(".")[2]: each for each in (copy, io, math, operator, torch)}

    def counted(lines: list[str], number: int) -> Counts:
        linecache.cache["/toy/lines.py"] = (1, None, [f"{line}\n" for line in lines], "/toy/lines.py")
        names = {
            **modules,
            "np": np,
            "F": F,
            "h": torch.arange(4),
            "e": torch.cuda.Event(),
            "__name__": "toy.lines",
            "x": device.pixels((8, 64), torch.float16),
            "f": device.upload(torch.tensor(0.5)),
            "i": device.upload(torch.arange(5)),
            "n": device.upload(torch.tensor(3)),
            "m": device.upload(torch.tensor([True, False] * 4)),
            "flag": device.upload(torch.zeros(4, dtype=torch.int32)),
        }
        code = compile("\n" * number + lines[number], "/toy/lines.py", "exec")
        with device.count() as counter, redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exec(code, names)
        return counter.report

    yield counted
    linecache.cache.pop("/toy/lines.py", None)


def rows(table: str) -> list[list[str]]:
    return [line.rsplit(" | ", 1) for line in table.strip().splitlines()]


@pytest.mark.parametrize("table", [VALUES, SHAPES, COPIES], ids=["values", "shapes", "copies"])
def test_every_wait_of_a_line_is_counted_there(run: Run, table: str) -> None:
    lines, wanted = zip(*rows(table), strict=True)
    found = []
    for number, line in enumerate(lines):
        counts = run(list(lines), number)
        places = {cause.where.line for cause in counts.causes}
        found.append(f"{line} | {counts.total.host_syncs}" if places <= {number + 1} else f"{line} | {places}")
        assert counts.complete or "print" in line, line
    assert found == [f"{line} | {waits}" for line, waits in zip(lines, wanted, strict=True)]


def test_what_cannot_be_counted_says_what_to_do_instead(run: Run, device: CountingDevice) -> None:
    table = rows(REFUSED) + (rows(NOT_COMPUTED) if device.mode == "ghost" else [])
    lines = [line for line, _ in table]
    for number, (line, words) in enumerate(table):
        with pytest.raises((UsageError, RuntimeError, TypeError)) as error:
            run(lines, number)
        said = str(error.value)
        assert words.format(torch=torch.__version__) in said, line
        assert "mode=" not in said


@pytest.mark.parametrize("device", ["ghost"], indirect=True)
def test_solvers_are_unknown_until_somebody_says_how_often_they_wait(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = SOLVERS.strip().splitlines()
    names = [set(run(lines, number).unknown) for number, _ in enumerate(lines)]
    assert all(names), "a solver without a word"
    monkeypatch.setattr("vlbench.counting_device.declarations._declared", dict(_declared))
    for name in set.union(*names):
        declare(name, read_backs=3)
    report = run(lines, lines.index("torch.linalg.qr(x.float())"))
    assert report.complete
    assert report.total.host_syncs == 3
