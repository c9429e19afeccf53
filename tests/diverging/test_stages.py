"""How far off a stage is, what it may be off by, and which token a row is."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from vlbench.diverging.hold import Fed
from vlbench.diverging.stages import Standard, kind_of, row_errors
from vlbench.record.divergence import Mode, Place
from vlbench.trial.accuracy import Input

WANTED = torch.tensor([[3.0, 4.0], [0.0, 5.0], [5.0, 0.0]])
FED = Fed(Input(torch.zeros(2 * 4 * 12 + 4, 1176), torch.tensor([[2, 4, 12], [1, 2, 2]])), merge=2, window=4)


def judged(found: Tensor, name: str = "block[0].mlp", mode: Mode = "lock-step", own: Tensor | None = None) -> bool:
    dtype = "float32" if own is None else "bfloat16"
    standard = Standard(dtype, mode, {name: WANTED}, None if own is None else {name: own})
    return standard.judge(name, found, lambda row, rows: Place(item=row, frame=0, row=0, column=0)).parts


def test_a_row_is_off_by_its_norm_relative_to_the_usual_row() -> None:
    off = WANTED + torch.tensor([[0.0, 0.0], [0.05, 0.0], [0.0, math.nan]])
    assert row_errors(off, WANTED, "product").tolist() == pytest.approx([0, 0.01, math.inf])
    assert row_errors(off, WANTED, "table").tolist() == pytest.approx([0, 0.05, math.inf])
    zeros = torch.zeros(2, 3)
    assert row_errors(zeros, zeros, "product").tolist() == [0, 0]
    assert row_errors(zeros + 1, zeros, "product").tolist() == [math.inf, math.inf]
    assert row_errors(torch.tensor([0, 0, 4]), torch.tensor([0, 0, 2]), "segments").tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("factor", "name", "mode", "parts"),
    [
        (1 + 9e-6, "block[0].mlp", "lock-step", False),
        (1 + 2e-5, "block[0].mlp", "lock-step", True),
        (1 + 9e-6, "block[0].norm1", "lock-step", True),
        (1 + 5e-7, "block[0].norm1", "lock-step", False),
        (1 + 9e-6, "block[0].norm1", "free-running", False),
        (1 + 2e-5, "block[0].norm1", "free-running", True),
        (1 + 1e-6, "block[0].rope", "free-running", True),
    ],
)
def test_what_a_stage_may_be_off_by_in_fp32(factor: float, name: str, mode: Mode, parts: bool) -> None:
    assert judged((WANTED.double() * factor), name, mode) is parts


def test_in_another_dtype_the_references_own_error_decides() -> None:
    own = torch.tensor([1e-3, 1e-3, 4e-3]).double()
    assert not judged(WANTED * 1.007, own=own)
    assert judged(WANTED * 1.008, own=own), "three times 2.4e-3 for all rows"
    one = torch.tensor([[1.0], [1.0], [1.012]])
    assert not judged(WANTED * one, own=own)
    assert judged(WANTED * torch.tensor([[1.0], [1.0], [1.05]]), own=own)
    assert judged(WANTED * math.nan, own=own)
    assert judged(WANTED * one, own=own * math.inf), "a reference that is not finite allows nothing"


def test_cos_and_sin_may_be_rounded_to_the_dtype() -> None:
    own = torch.zeros(3).double()
    assert not judged(WANTED + 0.003, "block[0].rope", own=own)
    assert judged(WANTED + 0.005, "block[0].rope", own=own)


def test_the_kinds_of_stages() -> None:
    names = ("patch_embed", "embedded", "block[3].norm2", "block[3].rope", "block[3].segments", "merger.norm", "tokens")
    kinds = ["product", "norm", "norm", "table", "segments", "norm", "product"]
    assert [kind_of(name) for name in names] == kinds


def test_a_row_is_a_token_with_its_window() -> None:
    assert FED.place(0, 100).words == "item 0, frame 0, row 0, column 0, window 0"
    assert FED.place(4 * 5 + 3, 100).words == "item 0, frame 0, row 0, column 5, window 1"
    assert FED.place(48 + 4 * 6, 100).words == "item 0, frame 1, row 1, column 0, window 0"
    assert FED.place(99, 100) == FED.place(24, 25) == Place(item=1, frame=0, row=0, column=0, window=0)
