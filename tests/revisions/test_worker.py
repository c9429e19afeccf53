"""The work of either side, done in this process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

import vlbench
from tests.towers import toys
from tests.trial.plans import POINT, ROOT
from vlbench.errors import UsageError
from vlbench.revisions import bench
from vlbench.revisions.bench import BATCH, OUTPUTS, WEIGHTS
from vlbench.revisions.messages import Order, Reading, Ready, Said, Turn, Warm, output_of
from vlbench.revisions.worker import follow, refuse_strangers
from vlbench.trial.job import Checked, Job, Prepared, Stages, Struck, VariantJob

HERE = "tests.revisions.test_worker"
TURNS = [Turn(does="warm-up"), Turn(does="reading", number=0), Turn(does="reading", number=1), Turn(does="stages")]


class Spoilt(toys.Toy):
    """Right until it has been warmed up."""

    calls = 0

    def forward(self, pixels: Tensor, grid_thw: Tensor) -> Any:
        self.calls += 1
        if self.calls > 40:
            raise RuntimeError("out of pages")
        return super().forward(pixels, grid_thw)


class Listed(Spoilt):
    def forward(self, pixels: Tensor, grid_thw: Tensor) -> Any:
        try:
            return super().forward(pixels, grid_thw)
        except RuntimeError:
            return [1]


class Buffered(toys.Toy):
    """Hands out one buffer again and again, and notes what it was given."""

    seen: ClassVar[list[Tensor]] = []
    buffers: ClassVar[list[Tensor]] = []

    def forward(self, pixels: Tensor, grid_thw: Tensor) -> Tensor:
        tokens = super().forward(pixels, grid_thw)
        Buffered.seen.append(pixels.clone())
        Buffered.buffers.append(tokens)
        return tokens


class Fine(toys.Toy):
    """Cut into smaller patches."""

    def __init__(self) -> None:
        super().__init__(patch_dim=588)


def fine() -> vlbench.Tower:
    return vlbench.Tower(
        lambda device, dtype: Fine().to(device, dtype), preprocessing=vlbench.Preprocessing(temporal_patch_size=1)
    )


def order(tower: str, exchange: Path, leads: bool, **fields: Any) -> Order:
    text = f"at:{ROOT}:{tower if ':' in tower else f'tests.towers.toys:{tower}'}"
    name = "BASE" if leads else "HEAD"
    variant = VariantJob(name=name, flags=(), exactness="reassociated", tower=text)
    asked = {"model": text, "dtype": "float32", "device": "cpu", "threads": 1, "seed": 0, "seconds": 1.0}
    job = Job.model_validate({**asked, "point": POINT, "variants": (variant,), **fields})
    return Order(job=job, leads=leads, exchange=exchange, repository=None)


def said(asked: Order, turns: list[Turn] = TURNS) -> list[Said]:
    heard: list[Said] = []
    follow(asked, turns, heard.append)
    return heard


def head_after(base: str, head: str, exchange: Path, **fields: Any) -> tuple[Checked, list[Said]]:
    """What HEAD says once BASE has left its weights and outputs: its check, and all that follows."""
    said(order(base, exchange, leads=True, **fields), [])
    prepared, checked, ready, *rest = said(order(head, exchange, leads=False, **fields))
    assert isinstance(prepared, Prepared)
    assert isinstance(checked, Checked)
    assert isinstance(ready, Ready)
    return checked, rest


def test_each_turn_is_answered(tmp_path: Path) -> None:
    checked, rest = head_after("Toy", "Again", tmp_path)
    assert checked.accuracy.passed, checked
    assert [type(each) for each in rest] == [Warm, Reading, Reading, Stages]
    left = torch.load(output_of(tmp_path, "HEAD"), weights_only=True)["tokens"]
    assert left.shape == (12, toys.WIDTH)
    assert not (tmp_path / OUTPUTS).exists()  # HEAD finds nothing to copy there


def test_both_sides_are_fed_the_same_and_no_call_twice(tmp_path: Path) -> None:
    outputs = []
    for leads in (True, False):
        Buffered.seen.clear()
        Buffered.buffers.clear()
        heard = said(order(f"{HERE}:Buffered", tmp_path, leads), TURNS[1:3])
        assert [type(each) for each in heard[3:]] == [Reading, Reading]
        outputs.append(torch.load(output_of(tmp_path, "BASE" if leads else "HEAD"), weights_only=True)["tokens"])
        *_, first_wake, first, second_wake, second = Buffered.seen
        assert len({tuple(each.flatten().tolist()) for each in (first_wake, first, second_wake, second)}) == 4
        assert Buffered.buffers[-1].isnan().all()  # poisoned: who hands it out again has to write it again
        assert not outputs[-1].isnan().any()
    assert torch.equal(*outputs)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_head_gets_the_weights_of_base(tmp_path: Path, dtype: str) -> None:
    """Each factory draws from one seed; here HEAD draws other numbers first."""
    checked, _ = head_after("Toy", f"{HERE}:drawn_late", tmp_path, dtype=dtype)
    assert checked.accuracy.passed, checked
    assert (checked.accuracy.timed_error is None) == (dtype == "float32")


def drawn_late() -> nn.Module:
    torch.randn(17)
    return toys.Toy()


def test_a_wrong_head_is_caught(tmp_path: Path) -> None:
    checked, rest = head_after("Toy", "Wrong", tmp_path)
    assert not checked.accuracy.passed
    assert "in fp32 is above 1e-05" in (checked.accuracy.reason or "")
    assert checked.accuracy.worst_token is not None
    assert rest == []


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_nothing_is_held_against_a_base_that_is_not_finite(tmp_path: Path, dtype: str) -> None:
    for head in ("Toy", f"{HERE}:Overflown"):
        checked, rest = head_after(f"{HERE}:Overflown", head, tmp_path, dtype=dtype)
        assert (checked.accuracy.passed, checked.accuracy.fp32_error, rest) == (False, None, [])
        assert (checked.accuracy.reason or "").startswith("the reference tower itself is not finite in float32; choose")


class Overflown(toys.Toy):
    def forward(self, pixels: Tensor, grid_thw: Tensor) -> Any:
        tokens = super().forward(pixels, grid_thw)
        return torch.where(torch.arange(len(tokens)) == len(tokens) - 1, torch.inf, tokens.T).T


def test_a_wrong_part_of_head_is_named(tmp_path: Path) -> None:
    checked, rest = head_after("Deep", "Deep", tmp_path)
    assert checked.accuracy.passed, checked
    left = torch.load(output_of(tmp_path, "HEAD"), weights_only=True)
    assert {name: part.shape for name, part in left.items()} == {"tokens": (12, toys.WIDTH), "deep": (48, toys.WIDTH)}
    checked, rest = head_after("Deep", "WrongDeep", tmp_path)
    assert (checked.accuracy.passed, checked.accuracy.part, rest) == (False, "deep", [])


def test_weights_that_do_not_fit_are_said_where_the_result_differs(tmp_path: Path) -> None:
    checked, _ = head_after("Toy", f"{HERE}:fused_late", tmp_path)
    assert not checked.accuracy.passed
    assert "it has weights of its own, since of BASE's its 'last.bias' is not among the weights" in (
        checked.accuracy.reason or ""
    )


def fused_late() -> nn.Module:
    torch.randn(17)
    return toys.Fused()


def test_a_head_that_loads_takes_the_weights_by_itself(tmp_path: Path) -> None:
    checked, _ = head_after("Toy", "loading", tmp_path)
    assert checked.accuracy.passed, checked


@pytest.mark.parametrize(
    ("tower", "reason"),
    [("Spoilt", "raised RuntimeError in a timed round"), ("Listed", "the output of a timed round is a list")],
)
def test_what_goes_wrong_in_a_timed_call_is_a_strike(tmp_path: Path, tower: str, reason: str) -> None:
    said(order("Toy", tmp_path, leads=True), [])
    readings = [Turn(does="reading", number=number) for number in range(40)]
    *_, last = said(order(f"{HERE}:{tower}", tmp_path, leads=False), readings)
    assert last == Struck(variant="HEAD", reason=reason)


def test_sides_that_take_other_patches_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="its temporal_patch_size is 1, and BASE's 2; make them agree"):
        head_after("Toy", f"{HERE}:fine", tmp_path)


@pytest.fixture
def stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module that was imported from a repository."""
    module = ModuleType("some_helper")
    module.__file__ = str(tmp_path / "repository/some_helper.py")
    monkeypatch.setitem(sys.modules, "some_helper", module)
    return tmp_path / "repository"


def test_what_is_imported_from_the_repository_itself_is_refused(stranger: Path) -> None:
    with pytest.raises(UsageError, match=r"some_helper is imported from .*some_helper.py, so it would be the same"):
        refuse_strangers(stranger, stranger.parent / "head")


def test_what_is_imported_from_the_revision_is_not(stranger: Path) -> None:
    refuse_strangers(stranger.parent, stranger)  # a revision may lie inside, where TMPDIR does
    refuse_strangers(stranger.parent / "repository2", stranger.parent / "head")


def test_what_is_installed_inside_the_repository_is_not(stranger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", str(stranger))
    refuse_strangers(stranger.parent, stranger.parent / "head")


@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [
        (WEIGHTS, lambda left: left["weights"]["merger.bias"].add_(1), "reads other weights than BASE wrote"),
        (
            BATCH,
            lambda left: left.update(drawn="other"),
            "draws other numbers from a seed than BASE's does, so that ro",
        ),
    ],
)
def test_head_refuses_what_another_torch_reads_or_draws_otherwise(
    tmp_path: Path, name: str, change: Callable[[Any], Any], sentence: str
) -> None:
    said(order("Toy", tmp_path, leads=True), [])
    left = torch.load(tmp_path / name, weights_only=True)
    change(left)
    torch.save(left, tmp_path / name)
    with pytest.raises(UsageError, match=sentence):
        said(order("Toy", tmp_path, leads=False))


def test_head_is_fed_what_base_left_and_not_what_it_would_make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "FEW", 8)
    fed = said(order("Toy", tmp_path, leads=True), [])[0]
    left = torch.load(tmp_path / BATCH, weights_only=True)
    left["pixels"][8:] += 1  # beyond what is looked at
    torch.save(left, tmp_path / BATCH)
    found = said(order("Toy", tmp_path, leads=False), [])[0]
    assert isinstance(fed, Prepared)
    assert isinstance(found, Prepared)
    assert (found.fed_digest == fed.fed_digest, found.weights_digest == fed.weights_digest) == (False, True)
