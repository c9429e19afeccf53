"""What a GPU answered, against what is said of it where there is none."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch

from results.gpu.tables import answers
from vlbench.counting_device.backends import Call, backend, torchs_order
from vlbench.counting_device.profiles import profile

FILE = Path(__file__).parents[3] / "results/gpu/probe.json"
CHOSEN: dict[str, str] = answers()["attention-backend"]["chosen"]
LABEL = re.compile(r"(?P<dtype>\w+), head (?P<width>\d+), (?P<batch>\d+) x (?P<tokens>\d+) tokens(?P<masked>, masked)?")


def test_all_questions_were_answered_on_a_gpu() -> None:
    answers = json.loads(FILE.read_text())["answers"]
    assert {(each["device"], each["not_measured"]) for each in answers.values()} == {("cuda", "")}


@pytest.mark.parametrize("label", CHOSEN)
def test_the_backend_is_the_one_that_torch_chose_on_an_h200(label: str) -> None:
    asked = LABEL.fullmatch(label)
    assert asked
    batch, tokens, width = (int(asked[name]) for name in ("batch", "tokens", "width"))
    dtype = getattr(torch, asked["dtype"])
    # As in a tower: [batch, tokens, heads, width], turned.
    heads = [torch.empty(batch, tokens, 16, width, dtype=dtype, device="meta").transpose(1, 2) for _ in range(3)]
    mask = torch.ones(1, 1, tokens, tokens, dtype=torch.bool, device="meta") if asked["masked"] else None
    answered = profile("sm_90", "9.19")
    with torchs_order(answered):
        assert f"{backend(answered, Call(*heads, mask, 0.0, False, False)).upper()}_ATTENTION" == CHOSEN[label]
