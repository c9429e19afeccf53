"""A program records its own tower, whatever that is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import vlbench
from tests.traffic.test_recorder import GRIDS, lines
from vlbench.errors import UsageError
from vlbench.implementations import build_tower
from vlbench.implementations.config import MODELS
from vlbench.implementations.weights import random_weights


class Toy(nn.Module):
    """Calls itself, as a tower that wraps another does."""

    def __init__(self, inner: nn.Module | None = None) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, pixels: torch.Tensor, grid_thw: Any, *, plan: Any = None) -> torch.Tensor:
        found = self.inner(pixels, grid_thw) if self.inner else pixels
        assert isinstance(found, torch.Tensor)
        return found


def by_keyword(pixels: torch.Tensor, *, grid_thw: Any) -> torch.Tensor:
    return pixels


def test_a_module_is_recorded_up_to_the_end(tmp_path: Path) -> None:
    path, toy, pixels = tmp_path / "calls.jsonl", Toy(), torch.zeros(1, dtype=torch.float16)
    with vlbench.recording(path, queue=lambda: 7) as record:
        assert record.wrap(toy) is toy
        assert toy(pixels, GRIDS) is pixels
        toy(pixels, grid_thw=torch.tensor(GRIDS))
        record(GRIDS, "float8_e4m3fn", queue=1)
        assert record.path == path
    toy(pixels, GRIDS)
    told = [(line["grids"], line["dtype"], line["queue"]) for line in lines(path)[1:]]
    assert told == [(GRIDS, "float16", 7), (GRIDS, "float16", 7), (GRIDS, "float8_e4m3fn", 1)]


def test_a_call_within_a_call_is_one(tmp_path: Path) -> None:
    with vlbench.recording(tmp_path / "calls.jsonl") as record:
        inner = record.wrap(Toy())
        outer = record.wrap(Toy(inner))
        outer(torch.zeros(1), GRIDS)
        inner(torch.zeros(1), GRIDS)
    assert len(lines(tmp_path / "calls.jsonl")) == 1 + 2


def test_a_function_is_recorded_and_raises_what_it_raises(tmp_path: Path) -> None:
    with vlbench.recording(tmp_path / "calls.jsonl") as record:
        wrapped = record.wrap(by_keyword)
        assert wrapped(torch.ones(1), grid_thw=GRIDS) == 1
        with pytest.raises(TypeError, match="grid_thw"):
            wrapped(torch.ones(1))  # type: ignore[call-arg]
    assert lines(tmp_path / "calls.jsonl")[2:] == [{"missed": 1}]  # a call without grids cannot be replayed


def test_one_of_our_towers_gives_the_same(tmp_path: Path) -> None:
    config = MODELS["qwen2.5-vl-tiny"]
    tower = build_tower(config, (), random_weights(config, 0, torch.float32))
    pixels, grid_thw = torch.randn(24, config.preprocessing.patch_dim), torch.tensor([[1, 4, 6]])
    before = tower(pixels, grid_thw)
    with vlbench.recording(tmp_path / "calls.jsonl") as record:
        assert torch.equal(record.wrap(tower)(pixels, grid_thw), before)
    assert lines(tmp_path / "calls.jsonl")[1]["grids"] == [[1, 4, 6]]


@pytest.mark.slow(seconds=8)
def test_what_is_compiled_is_recorded_outside_of_the_graph(tmp_path: Path) -> None:
    toy = Toy()
    with vlbench.recording(tmp_path / "calls.jsonl") as record:
        compiled: Any = torch.compile(toy, backend="eager", fullgraph=True)
        record.wrap(compiled)(torch.zeros(1), torch.tensor(GRIDS))
        record.wrap(toy)
        torch.compile(toy, backend="eager", fullgraph=True)(torch.zeros(2), torch.tensor(GRIDS))
    assert len(lines(tmp_path / "calls.jsonl")) >= 2


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("calls.json", "has to end in .jsonl"),
        ("there.jsonl", "is there already"),
        ("none/calls.jsonl", r"cannot be written \(No such file"),
    ],
)
def test_a_file_that_cannot_be_is_refused(name: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "there.jsonl").write_text("mine")
    with pytest.raises(UsageError, match=told), vlbench.recording(tmp_path / name):
        pass
    assert (tmp_path / "there.jsonl").read_text() == "mine"


def test_a_tower_without_grids_is_refused(tmp_path: Path) -> None:
    refused = pytest.raises(UsageError, match="takes no grid_thw; call the recording itself")
    with vlbench.recording(tmp_path / "calls.jsonl") as record, refused:
        record.wrap(nn.Linear(1, 1))


def test_a_span_has_the_figures_of_its_call(tmp_path: Path) -> None:
    tracer = pytest.importorskip("opentelemetry.sdk.trace").TracerProvider().get_tracer("a server")
    with vlbench.recording(tmp_path / "calls.jsonl") as record, tracer.start_as_current_span("encode") as first:
        record(GRIDS, torch.bfloat16, queue=2)
    with vlbench.recording(tmp_path / "full.jsonl", max_mb=0) as record:
        record(GRIDS, None)
        record._recorder.flush()
        assert record._recorder.full
        with tracer.start_as_current_span("encode") as second:
            record(GRIDS, torch.bfloat16, queue=2)
    assert (tmp_path / "full.jsonl").read_text().splitlines()[1:] == ['{"missed":2}']
    told = {"vlbench.images": 2, "vlbench.patches": 1344, "vlbench.grids": ("1x36x36", "2x4x6")}
    told |= {"vlbench.dtype": "bfloat16", "vlbench.queue": 2}
    assert dict(first.attributes) == dict(second.attributes) == told
    assert json.loads((tmp_path / "calls.jsonl").read_text().splitlines()[1])["grids"] == GRIDS
