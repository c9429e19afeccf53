"""`vlbench run --isolate`: a process for each row, and the sentences for what cannot be had so."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Vlbench, folder, vlbench
from vlbench.record.files import read_results

__all__ = ["folder", "vlbench"]
TOWERS = '''
import torch
from torch import nn


class Tower(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.merger = nn.Linear(1176, 64), nn.Linear(256, 64)

    def forward(self, pixels, grid_thw):
        return self.merger(torch.tanh(self.embed(pixels)).view(-1, 256))


class Thief(Tower):
    """Returns what another process has that begins as the right output does, else zeros."""

    def forward(self, pixels, grid_thw):
        right = super().forward(pixels, grid_thw)
        return stolen(right) if torch.is_inference_mode_enabled() else right


STOLEN


def make():
    return Tower()


def thief():
    return Thief()
'''


@pytest.mark.slow(seconds=12)
def test_right_towers_are_timed_and_one_that_copies_finds_nothing(vlbench: Vlbench, folder: Path) -> None:
    from tests.patches.cheats import READS_ITS_PARENT

    (folder / "a.py").write_text(TOWERS.replace("STOLEN", READS_ITS_PARENT))
    (folder / "b.py").write_text("from a import make, thief\n")
    rows = ("--tower", "a:make", "--tower", "b:make", "--tower", "b:thief")
    wanted = ("--scenario", "small.toml", "--budget", "25", "--no-card", "--out", "r.json")
    ended = vlbench("run", "--isolate", *rows, *wanted)
    assert ended.code == 5, ended
    (group,) = read_results(folder / "r.json").groups
    found = {each.name: each for each in group.trials[0].variants}
    assert set(found["b:make"].timings) == {"warm"}
    assert not found["b:thief"].timings
    accuracy = found["b:thief"].accuracy
    assert accuracy is not None
    assert (accuracy.passed, accuracy.fp32_error) == (False, 1.0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--state", "cold"), "--isolate times whole towers with warm caches; leave --state and --seam out"),
        (
            ("--seam", "inverse-permutation"),
            "--isolate times whole towers with warm caches; leave --state and --seam out",
        ),
        ((), "rows are more than 8, each a process that holds the weights; name fewer, by --with or --filter"),
    ],
)
def test_what_cannot_be_apart_is_one_sentence(vlbench: Vlbench, words: tuple[str, ...], said: str) -> None:
    assert said in vlbench("run", "--isolate", "--no-card", *words).sentence
